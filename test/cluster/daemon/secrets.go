package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"

	"drainer.dev/drainer/test/secrets"
)

// checkLogs is an error if a log of drainer has a secret: a token or a key of the
// cluster, or anything that looks like one.
func (s *Stage) checkLogs() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, err := s.secrets()
	if err != nil {
		return err
	}
	var errs []error
	for _, log := range s.logs {
		found, err := secrets.InFile(log, known)
		errs = append(errs, err)
		for _, what := range found {
			errs = append(errs, errors.New(what))
		}
	}
	return errors.Join(errs...)
}

// secrets are the tokens and keys in the cluster's files.
func (s *Stage) secrets() (map[string]string, error) {
	known := map[string]string{"the admin's token": s.Cluster.AdminToken}
	for _, pattern := range []string{"*kubeconfig", "logs/*.kubeconfig"} {
		paths, err := filepath.Glob(filepath.Join(s.Cluster.Dir, pattern))
		if err != nil {
			return nil, fmt.Errorf("finding the cluster's tokens: %w", err)
		}
		for _, path := range paths {
			config, err := clientcmd.LoadFromFile(path)
			if err != nil {
				return nil, fmt.Errorf("reading the cluster's tokens: %w", err)
			}
			for _, user := range config.AuthInfos {
				known["the token of "+filepath.Base(path)] = user.Token
			}
		}
	}
	keys, err := filepath.Glob(filepath.Join(s.Cluster.Dir, "*.key"))
	if err != nil {
		return nil, fmt.Errorf("finding the cluster's keys: %w", err)
	}
	for _, path := range keys {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading the cluster's keys: %w", err)
		}
		known["the key "+filepath.Base(path)] = string(text)
	}
	return known, nil
}
