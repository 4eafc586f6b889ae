package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// daemonLabels select drainer's Deployment, as the chart and the manifests make
// it.
const daemonLabels = "app.kubernetes.io/name=drainer"

func (s *shared) version() *cobra.Command {
	client := false
	var output Output
	c := &cobra.Command{
		Use:     "version",
		Short:   "Print the versions of the plugin and of drainer in the cluster",
		Long:    "version prints the version of the plugin, and the images of the Deployments of drainer in its namespace (--namespace,\nwithout it " + defaultNamespace + ").",
		Example: example("# Print both versions", "version", "# Print that of the plugin, without asking the cluster", "version --client"),
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := output.Check(); err != nil {
				return exit{ExitUsage, err}
			}
			v := versions{Client: clientVersion{s.Version, s.Commit}}
			if !output.ForPrograms() {
				s.printf("Client: %s (%s)\n", s.Version, s.Commit)
			}
			if !client {
				var err error
				if v.Daemons, err = s.daemonVersions(c.Context()); err != nil {
					return err
				}
			}
			if output.ForPrograms() {
				return output.Write(s.Out, v)
			}
			s.printDaemons(v.Daemons, !client)
			return nil
		},
	}
	output.Add(c.Flags())
	c.Flags().BoolVar(&client, "client", client, "show only the version of the plugin")
	return c
}

// versions are those of the plugin and of what runs in the cluster.
type versions struct {
	Client  clientVersion   `json:"client"`
	Daemons []daemonVersion `json:"daemons,omitempty"`
}

type clientVersion struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
}

type daemonVersion struct {
	Image      string `json:"image"`
	Deployment string `json:"deployment"`
	Namespace  string `json:"namespace"`
}

func (s *shared) daemonVersions(ctx context.Context) ([]daemonVersion, error) {
	client, err := s.client()
	if err != nil {
		return nil, err
	}
	namespace := s.controlNamespace()
	list, err := client.AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{LabelSelector: daemonLabels})
	if err != nil {
		return nil, fmt.Errorf("finding drainer's Deployment in the namespace %s: %w", namespace, err)
	}
	var daemons []daemonVersion
	for i := range list.Items {
		if c := daemonContainer(list.Items[i].Spec.Template.Spec.Containers); c != nil {
			daemons = append(daemons, daemonVersion{c.Image, list.Items[i].Name, namespace})
		}
	}
	return daemons, nil
}

func (s *shared) printDaemons(daemons []daemonVersion, asked bool) {
	for _, d := range daemons {
		s.printf("Daemon: %s (deployment/%s in %s)\n", d.Image, d.Deployment, d.Namespace)
	}
	if asked && len(daemons) == 0 {
		s.printf("Daemon: none found in the namespace %s; --namespace says where it runs\n", s.controlNamespace())
	}
}
