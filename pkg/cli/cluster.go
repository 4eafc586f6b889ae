package cli

import (
	"fmt"

	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// clusterFlags are kubectl's flags that say which cluster is meant, and as whom
// to talk to it. They are those of client-go: cli-runtime's would more than double
// the size of the program, which is the daemon's, too.
type clusterFlags struct {
	kubeconfig string
	overrides  clientcmd.ConfigOverrides
}

// shownFlags are those that help lists. The others are the same for every command
// of kubectl.
var shownFlags = map[string]bool{"context": true, "kubeconfig": true, "namespace": true}

func (o *clusterFlags) add(f *pflag.FlagSet) {
	flags := clientcmd.RecommendedConfigOverrideFlags("")
	flags.AuthOverrideFlags.Username = clientcmd.FlagInfo{}
	flags.AuthOverrideFlags.Password = clientcmd.FlagInfo{}
	// As kubectl names it.
	flags.CurrentContext.Description = "name of the kubeconfig context to use"
	flags.ContextOverrideFlags.Namespace.ShortName = "n"
	flags.ContextOverrideFlags.Namespace.Description = "namespace; where drainer runs, or that of a pod"
	flags.ClusterOverrideFlags.APIServer.ShortName = "s"
	clientcmd.BindOverrideFlags(&o.overrides, f, flags)
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "path of the kubeconfig file; without it $KUBECONFIG or ~/.kube/config")
	f.VisitAll(func(flag *pflag.Flag) { flag.Hidden = !shownFlags[flag.Name] })
}

func (o *clusterFlags) loader() clientcmd.ClientConfig {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.kubeconfig
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &o.overrides)
}

// namespace is that of the flag or of the kubeconfig's context.
func (o *clusterFlags) namespace() (string, error) {
	namespace, _, err := o.loader().Namespace()
	if err != nil {
		return "", fmt.Errorf("finding out the namespace: %w", err)
	}
	return namespace, nil
}

// config is how to reach the API server.
func (s *shared) config() (*rest.Config, error) {
	config, err := s.cluster.loader().ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("finding out how to reach the API server (--kubeconfig, --context, $KUBECONFIG or ~/.kube/config): %w", err)
	}
	config.UserAgent = program + "/" + s.Version
	// As kubectl's own.
	config.QPS, config.Burst = 50, 300
	return config, nil
}
