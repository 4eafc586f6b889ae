package cli

import (
	"fmt"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// daemonLabels select drainer's Deployment, as the chart and the manifests make
// it.
const daemonLabels = "app.kubernetes.io/name=drainer"

func (s *shared) version() *cobra.Command {
	client := false
	c := &cobra.Command{
		Use:     "version",
		Short:   "Print the versions of the plugin and of drainer in the cluster",
		Long:    "version prints the version of the plugin, and the images of the Deployments of drainer in its namespace (--namespace,\nwithout it " + defaultNamespace + ").",
		Example: example("# Print both versions", "version", "# Print that of the plugin, without asking the cluster", "version --client"),
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			s.printf("Client: %s (%s)\n", s.Version, s.Commit)
			if client {
				return nil
			}
			return s.printDaemonVersion(c)
		},
	}
	c.Flags().BoolVar(&client, "client", client, "show only the version of the plugin")
	return c
}

func (s *shared) printDaemonVersion(c *cobra.Command) error {
	client, err := s.client()
	if err != nil {
		return err
	}
	namespace := s.controlNamespace()
	list, err := client.AppsV1().Deployments(namespace).List(c.Context(), metav1.ListOptions{LabelSelector: daemonLabels})
	if err != nil {
		return fmt.Errorf("finding drainer's Deployment in the namespace %s: %w", namespace, err)
	}
	for i := range list.Items {
		for _, container := range list.Items[i].Spec.Template.Spec.Containers {
			s.printf("Daemon: %s (deployment/%s in %s)\n", container.Image, list.Items[i].Name, namespace)
		}
	}
	if len(list.Items) == 0 {
		s.printf("Daemon: none found in the namespace %s; --namespace says where it runs\n", namespace)
	}
	return nil
}
