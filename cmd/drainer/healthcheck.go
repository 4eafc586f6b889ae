package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// probeInterval is short compared with the time that a pod takes to become
// ready.
const probeInterval = time.Second

// healthcheck is a command for `helm test` and similar uses: the image has no
// shell, and no other program.
func healthcheck() *cobra.Command {
	var address string
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "healthcheck --url URL",
		Short: "Wait until a URL such as http://host:8081/readyz answers 200",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if u, err := url.Parse(address); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
				return fmt.Errorf("--url=%q: expected a URL such as http://host:8081/readyz", address)
			}
			if timeout <= 0 {
				return fmt.Errorf("--timeout=%v: expected a duration above 0", timeout)
			}
			ctx, cancel := context.WithTimeout(c.Context(), timeout)
			defer cancel()
			if err := awaitHealthy(ctx, address); err != nil {
				return failure{err}
			}
			_, err := fmt.Fprintln(c.OutOrStdout(), "ok")
			return err
		},
	}
	c.Flags().StringVar(&address, "url", "", "URL to request")
	c.Flags().DurationVar(&timeout, "timeout", 30*time.Second, "how long to keep trying")
	return c
}

// awaitHealthy sends requests until the answer is 200. Its error has the last
// answer.
func awaitHealthy(ctx context.Context, address string) error {
	err := probe(ctx, address)
	for err != nil {
		select {
		case <-ctx.Done():
			return fmt.Errorf("not healthy: %w", err)
		// There is no event to wait for.
		case <-time.After(probeInterval):
		}
		// The last answer is more useful than the error of the context.
		if last := probe(ctx, address); last == nil || !errors.Is(last, context.DeadlineExceeded) {
			err = last
		}
	}
	return nil
}

func probe(ctx context.Context, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("asking %s: %w", address, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("asking: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1024))
	if err != nil {
		return fmt.Errorf("reading the answer of %s: %w", address, err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s: %s", address, response.Status, strings.TrimSpace(string(body)))
	}
	return nil
}
