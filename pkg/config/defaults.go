package config

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	componentconfig "k8s.io/component-base/config/v1alpha1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
)

// Default is the configuration without a file and without flags, in a process
// whose own namespace is given.
func Default(namespace string) *DrainerConfiguration {
	elect := true
	return &DrainerConfiguration{
		TypeMeta:    metav1.TypeMeta{APIVersion: APIVersion, Kind: Kind},
		MaxDraining: intstr.FromString("10%"),
		BarePods:    plan.BlockBarePods, EmptyDir: plan.EvictEmptyDir,
		NeverDelete: NeverDelete{Namespaces: []string{"kube-system", "rook-ceph", "longhorn-system"}},
		YieldAfter:  duration(time.Hour),
		OnTimeout:   api.Wait, StuckAfter: duration(5 * time.Minute), Settle: duration(5 * time.Second),
		Unreachable:      Unreachable{Action: WaitForNode, After: duration(10 * time.Minute)},
		Eviction:         EvictionConfiguration{QPS: 50, Burst: 100, Workers: 10, Timeout: duration(40 * time.Second)},
		ClientConnection: componentconfig.ClientConnectionConfiguration{Burst: 100},
		LeaderElection: componentconfig.LeaderElectionConfiguration{
			LeaderElect:   &elect,
			LeaseDuration: duration(15 * time.Second), RenewDeadline: duration(10 * time.Second), RetryPeriod: duration(2 * time.Second),
			ResourceLock: resourceLock, ResourceName: "drainer", ResourceNamespace: namespace,
		},
		MetricsBindAddress: ":8080", HealthBindAddress: ":8081",
		Logging: LoggingConfiguration{Format: "text"},
	}
}

// resourceLock is the only kind of lock that client-go has left.
const resourceLock = "leases"

func duration(d time.Duration) metav1.Duration { return metav1.Duration{Duration: d} }
