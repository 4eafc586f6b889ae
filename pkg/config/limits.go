package config

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"

	"drainer.dev/drainer/pkg/plan"
)

// defaultMaxUnavailable is maxUnavailable where it is not set and maxDraining is
// not more.
var defaultMaxUnavailable = intstr.FromString("20%")

// limits validates what limits how many nodes are out of service at once.
func (v *validator) limits(c *DrainerConfiguration) {
	v.share("maxDraining", &c.MaxDraining)
	v.share("maxUnavailable", c.MaxUnavailable)
	v.enough("maxUnavailable", c.MaxUnavailable, &c.MaxDraining, "maxDraining")
	v.selector("ignoreNodes", c.IgnoreNodes)
	v.notNegative("yieldAfter", c.YieldAfter)
	if c.PendingPods != nil {
		v.atLeast("pendingPods", *c.PendingPods, 0)
	}
	named := map[string]int{}
	for i := range c.Pools {
		path := fmt.Sprintf("pools[%d]", i)
		v.pool(path, &c.Pools[i], c.AllowDelete)
		if first, twice := named[c.Pools[i].Name]; twice {
			v.bad(path+".name", c.Pools[i].Name, fmt.Sprintf("expected a name other than that of pools[%d]", first))
		} else {
			named[c.Pools[i].Name] = i
		}
	}
	if c.PoolLabel != "" {
		v.label("poolLabel", c.PoolLabel, "eks.amazonaws.com/nodegroup")
	}
	for i := range c.Groups {
		v.group(fmt.Sprintf("groups[%d]", i), &c.Groups[i])
	}
}

func (v *validator) pool(path string, p *Pool, allowDelete bool) {
	if problems := validation.IsDNS1123Label(p.Name); len(problems) > 0 {
		v.bad(path+".name", p.Name, "expected a DNS label such as gpu-workers: "+strings.Join(problems, "; "))
	}
	if p.NodeSelector == nil {
		v.bad(path+".nodeSelector", "", "expected a label selector such as matchLabels: {pool: gpu}")
	}
	v.selector(path+".nodeSelector", p.NodeSelector)
	v.share(path+".maxDraining", p.MaxDraining)
	v.share(path+".maxUnavailable", p.MaxUnavailable)
	v.enough(path+".maxUnavailable", p.MaxUnavailable, p.MaxDraining, "the pool's limit of nodes that are drained at once")
	if p.DrainTimeout != nil {
		v.notNegative(path+".drainTimeout", *p.DrainTimeout)
	}
	if p.OnTimeout != "" {
		v.onTimeout(path+".onTimeout", p.OnTimeout, allowDelete)
	}
}

func (v *validator) group(path string, g *Group) {
	v.label(path+".label", g.Label, "topology.kubernetes.io/zone")
	v.share(path+".maxDraining", g.MaxDraining)
	v.atLeast(path+".maxGroups", g.MaxGroups, 0)
	if g.MaxDraining == nil && g.MaxGroups == 0 {
		v.bad(path+".maxGroups", g.MaxGroups, "expected a number of at least 1 where the limit of nodes in a group is not set")
	}
}

// label validates the key of a label.
func (v *validator) label(path, key, example string) {
	if problems := validation.IsQualifiedName(key); len(problems) > 0 {
		v.bad(path, key, "expected the key of a label such as "+example+": "+strings.Join(problems, "; "))
	}
}

// share validates a number or share of nodes, if there is one.
func (v *validator) share(path string, value *intstr.IntOrString) {
	if value == nil {
		return
	}
	if _, err := plan.ParseShare(value.String()); err != nil {
		v.bad(path, value.String(), "expected a number of at least 1, or a share from 1% to 100%")
	}
}

// enough: nodes being drained count as unavailable, so maxUnavailable must not be below maxDraining.
func (v *validator) enough(path string, unavailable, draining *intstr.IntOrString, limit string) {
	most, least := shareOf(unavailable), shareOf(draining)
	if !most.IsZero() && !least.IsZero() && most.Below(least) {
		v.bad(path, unavailable.String(), fmt.Sprintf("expected at least %s (%s): raise the one or lower the other", limit, draining))
	}
}

func (v *validator) selector(path string, s *metav1.LabelSelector) {
	if _, err := metav1.LabelSelectorAsSelector(s); err != nil {
		v.bad(path, metav1.FormatLabelSelector(s), "expected a label selector such as pool=workers: "+err.Error())
	}
}

// shareOf is a valid number or share; the zero Share if there is none.
func shareOf(value *intstr.IntOrString) plan.Share {
	if value == nil {
		return plan.Share{}
	}
	share, _ := plan.ParseShare(value.String())
	return share
}

// maxUnavailable is the limit of unavailable nodes over all nodes.
func (c *DrainerConfiguration) maxUnavailable() plan.Share {
	if c.MaxUnavailable != nil {
		return shareOf(c.MaxUnavailable)
	}
	return shareOf(&defaultMaxUnavailable).OrMore(shareOf(&c.MaxDraining))
}

func (c *DrainerConfiguration) pools() []plan.Pool {
	var pools []plan.Pool
	for _, p := range c.Pools {
		pool := plan.Pool{Name: p.Name, MaxDraining: shareOf(p.MaxDraining), MaxUnavailable: shareOf(p.MaxUnavailable), OnTimeout: p.OnTimeout}
		if p.MaxUnavailable == nil {
			pool.MaxUnavailable = c.maxUnavailable().OrMore(pool.MaxDraining)
		}
		if p.DrainTimeout != nil {
			pool.Timeout = &p.DrainTimeout.Duration
		}
		pools = append(pools, pool)
	}
	return pools
}

func (c *DrainerConfiguration) groups() []plan.Group {
	var groups []plan.Group
	for _, g := range c.Groups {
		groups = append(groups, plan.Group{Label: g.Label, MaxDraining: shareOf(g.MaxDraining), MaxGroups: g.MaxGroups})
	}
	return groups
}

// Selectors are what a valid configuration says about nodes by their labels.
func (c *DrainerConfiguration) Selectors() plan.Selectors {
	s := plan.Selectors{Served: selectorOf(c.NodeSelector), Ignored: selectorOf(c.IgnoreNodes), PoolLabel: c.PoolLabel}
	for _, p := range c.Pools {
		s.Pools = append(s.Pools, plan.PoolSelector{Name: p.Name, Nodes: selectorOf(p.NodeSelector)})
	}
	for _, g := range c.Groups {
		s.Groups = append(s.Groups, g.Label)
	}
	s.Windows, s.Rules, s.Requests = c.planWindows(), c.planRules(), c.planRequests()
	return s
}

// selectorOf is a valid selector; nil if there is none.
func selectorOf(s *metav1.LabelSelector) labels.Selector {
	if s == nil {
		return nil
	}
	selector, _ := metav1.LabelSelectorAsSelector(s)
	return selector
}
