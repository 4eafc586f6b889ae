package cli

import (
	"errors"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// configured is the text of a configuration file with the fields.
func configured(fields string) string {
	return "apiVersion: config.drainer.dev/v1alpha1\nkind: DrainerConfiguration\n" + fields
}

// deployed is drainer as the chart and the manifests deploy it, with the text as its
// configuration file.
func deployed(text string, changes ...func(*appsv1.Deployment)) []runtime.Object {
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ops", Name: "d", Labels: map[string]string{"app.kubernetes.io/name": "drainer"}},
		Spec: appsv1.DeploymentSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "proxy"}, {
				Name: "drainer", Args: []string{"--v=2", "--config=/etc/drainer/drainer.yaml"},
				VolumeMounts: []corev1.VolumeMount{{Name: "tls", MountPath: "/etc/tls"}, {Name: "c", MountPath: "/etc/drainer"}},
			}},
			Volumes: []corev1.Volume{{Name: "tls"}, {Name: "c", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
				LocalObjectReference: corev1.LocalObjectReference{Name: "drainer-config"},
			}}}},
		}}},
	}
	for _, change := range changes {
		change(d)
	}
	file := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "ops", Name: "drainer-config"}, Data: map[string]string{"drainer.yaml": text}}
	return []runtime.Object{d, file}
}

// TestFindRunning: what a drainer in the cluster runs with is read from its Deployment
// and from the ConfigMap that this mounts.
func TestFindRunning(t *testing.T) {
	main := func(d *appsv1.Deployment) *corev1.Container { return &d.Spec.Template.Spec.Containers[1] }
	mount := func(d *appsv1.Deployment) *corev1.VolumeMount { return &main(d).VolumeMounts[1] }
	const file = "/etc/drainer/drainer.yaml"
	given := []string{"--v=2", "--config=" + file}
	for name, test := range map[string]struct {
		change func(*appsv1.Deployment)
		// args are those found, and file is what is read then.
		args []string
		file string
		err  string
	}{
		"as deployed": {func(*appsv1.Deployment) {}, given, file, ""},
		"a command": {func(d *appsv1.Deployment) {
			main(d).Command, main(d).Args = []string{"/bin/drainer", "run"}, []string{"--v=1"}
		}, []string{"run", "--v=1"}, file, ""},
		"another name": {func(d *appsv1.Deployment) {
			d.Spec.Template.Spec.Volumes[1].ConfigMap.Items = []corev1.KeyToPath{{Key: "drainer.yaml", Path: "a/b"}}
		}, given, "/etc/drainer/a/b", ""},
		"one key":         {func(d *appsv1.Deployment) { mount(d).MountPath, mount(d).SubPath = "/c", "drainer.yaml" }, given, "/c", ""},
		"below another":   {func(d *appsv1.Deployment) { main(d).VolumeMounts[0].MountPath = "/etc" }, given, file, ""},
		"alone":           {func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers = d.Spec.Template.Spec.Containers[1:] }, given, file, ""},
		"no such key":     {func(*appsv1.Deployment) {}, given, "/etc/drainer/other", "the ConfigMap ops/drainer-config has no key other"},
		"in the image":    {func(*appsv1.Deployment) {}, given, "/etc/other/c", "only a file that a ConfigMap volume contains can be read, not /etc/other/c"},
		"in a Secret":     {func(*appsv1.Deployment) {}, given, "/etc/tls/c", "only a file that a ConfigMap volume contains can be read"},
		"no ConfigMap":    {func(d *appsv1.Deployment) { d.Spec.Template.Spec.Volumes[1].ConfigMap.Name = "x" }, given, file, `configmaps "x" not found`},
		"no container":    {func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers = nil }, nil, "", "has no container with the name drainer"},
		"only sidecars":   {func(d *appsv1.Deployment) { main(d).Name = "other" }, nil, "", "has no container with the name drainer"},
		"a shell":         {func(d *appsv1.Deployment) { main(d).Command = []string{"sh", "-c"} }, nil, "", "deployment/d in the namespace ops runs sh, not drainer"},
		"another program": {func(d *appsv1.Deployment) { d.Labels = nil }, nil, "", "no Deployment with the label app.kubernetes.io/name=drainer was found in the cluster"},
	} {
		r, err := findRunning(t.Context(), fake.NewClientset(deployed("x", test.change)...), "")
		text := []byte("x")
		if err == nil {
			text, err = r.Read(test.file)
		}
		hopeless := unreadable{}
		switch {
		case test.err != "":
			if !errors.As(err, &hopeless) || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: the error is %v, want %q", name, err, test.err)
			}
		case err != nil || string(text) != "x" || !slices.Equal(r.Args, test.args) || r.Deployment != "deployment/d in the namespace ops":
			t.Errorf("%s: found %+v with %q, %v", name, r, text, err)
		}
	}
}

// TestFindRunningWhere: drainer is found in its usual namespace first, then in any, by
// those who may look there. What fails may succeed the next time.
func TestFindRunningWhere(t *testing.T) {
	in := func(namespace string) []runtime.Object {
		return deployed("x", func(d *appsv1.Deployment) { d.Namespace = namespace })[:1]
	}
	several := append(in("a"), in("b")...)
	for name, test := range map[string]struct {
		objects   []runtime.Object
		namespace string
		// refuse answers requests in the namespaces.
		refuse error
		where  []string
		want   string
		err    string
		// failed is true for what is no reason to assume the defaults.
		failed bool
	}{
		"anywhere":            {objects: in("a"), want: "deployment/d in the namespace a"},
		"there":               {objects: several, namespace: "b", want: "deployment/d in the namespace b"},
		"elsewhere":           {objects: several, namespace: "c", err: "no Deployment with the label app.kubernetes.io/name=drainer was found in the namespace c"},
		"several":             {objects: several, err: "several Deployments with the label app.kubernetes.io/name=drainer were found: deployment/d in the namespace a, deployment/d in the namespace b; choose one with --namespace, or use --config"},
		"where it usually is": {objects: append(several, in(defaultNamespace)...), want: "deployment/d in the namespace drainer"},
		"only there":          {objects: in(defaultNamespace), refuse: forbidden, where: []string{""}, want: "deployment/d in the namespace drainer"},
		"not even there":      {objects: in("a"), refuse: forbidden, where: []string{defaultNamespace}, want: "deployment/d in the namespace a"},
		"forbidden":           {objects: in("a"), refuse: forbidden, where: []string{""}, err: "you may not list those of all namespaces; --namespace says where drainer runs"},
		"forbidden there":     {objects: in("a"), namespace: "a", refuse: forbidden, where: []string{"a"}, err: "you may not list the Deployments in the namespace a"},
		"not now":             {objects: in("a"), refuse: apierrors.NewInternalError(errors.New("etcd")), where: []string{defaultNamespace}, err: "etcd", failed: true},
	} {
		client := fake.NewClientset(test.objects...)
		client.PrependReactor("list", "deployments", func(a clienttesting.Action) (bool, runtime.Object, error) {
			return slices.Contains(test.where, a.GetNamespace()), nil, test.refuse
		})
		got, err := findRunning(t.Context(), client, test.namespace)
		if test.err == "" {
			if err != nil || got.Deployment != test.want {
				t.Errorf("%s: found %+v, %v; want %s", name, got, err, test.want)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), test.err) || errors.As(err, &unreadable{}) == test.failed {
			t.Errorf("%s: found %+v, %v; want %q, a failure: %v", name, got, err, test.err, test.failed)
		}
	}
}

var forbidden = apierrors.NewForbidden(appsv1.Resource("deployments"), "", nil)

// TestDrainLimits: --yes is needed for more nodes than the drainer in the cluster drains
// at once.
func TestDrainLimits(t *testing.T) {
	for name, test := range map[string]struct {
		daemon []runtime.Object
		args   string
		want   []string
	}{
		"enough":         {deployed(configured("maxDraining: 2\n")), "drain na nb", nil},
		"too many":       {deployed(configured("maxDraining: 2\n")), "drain na nb nc", []string{"you ask for the drain of 3 nodes, but drainer drains 2 of 6 at once (maxDraining: 2); the others would wait in its queue", "the configuration is that of deployment/d in the namespace ops"}},
		"that is fine":   {deployed(configured("maxDraining: 2\n")), "drain na nb nc --yes", nil},
		"elsewhere":      {deployed(configured("maxDraining: 2\n")), "drain na nb -n shop", []string{"drainer drains 1 of 6 at once (maxDraining: 10%)", "the configuration is the default one, because no Deployment with the label app.kubernetes.io/name=drainer was found in the namespace shop"}},
		"none":           {nil, "drain na nb", []string{"was found in the cluster"}},
		"not understood": {deployed(configured("new: 1\n")), "drain na nb", []string{"the configuration is the default one, because ", "new"}},
		"a pool": {
			deployed(configured("maxDraining: 4\npools: [{name: x, nodeSelector: {matchLabels: {pool: x}}, maxDraining: 50%}]\n")), "drain -l pool=x",
			[]string{"you ask for the drain of 4 nodes of the pool x, but drainer drains 2 of 4 at once (maxDraining: 50%)"},
		},
		"not served":      {deployed(configured("maxDraining: 1\nnodeSelector: {matchLabels: {pool: y}}\n")), "drain na nb", nil},
		"of those served": {deployed(configured("maxDraining: 50%\nnodeSelector: {matchLabels: {pool: x}}\n")), "drain -l pool=x", []string{"drains 2 of 4 at once"}},
	} {
		got := run(t, fake.NewClientset(append(append(fleet(4), named("ny", nodeWith()), named("nz", nodeWith())), test.daemon...)...), strings.Fields(test.args)...)
		if (got.status == 0) != (test.want == nil) {
			t.Errorf("%s: status %d: %s", name, got.status, got.err)
		}
		if warned := strings.Contains(got.err, "Warning: drainer ignores node na"); warned != (name == "not served") {
			t.Errorf("%s: warned of a node that is not served: %v", name, warned)
		}
		for _, want := range test.want {
			if !strings.Contains(got.err, want) {
				t.Errorf("%s: it says\n%s\nwant %q", name, got.err, want)
			}
		}
	}
}

// TestAssumed: what plan and why assume is the configuration of the drainer in the cluster,
// and they say so.
func TestAssumed(t *testing.T) {
	const blocks = "no controller would create it again"
	for fields, want := range map[string]bool{"": true, "barePods: Evict\n": false} {
		objects := append(deployed(configured(fields)), readyNode("na"), pod("x", func(p *corev1.Pod) { p.OwnerReferences = nil }))
		client := fake.NewClientset(objects...)
		for _, args := range []string{"plan na", "why shop/x"} {
			got := run(t, client, strings.Fields(args)...)
			if text := strings.Join(strings.Fields(got.out), " "); !strings.Contains(text, "the configuration is that of deployment/d in the namespace ops") || strings.Contains(text, blocks) != want {
				t.Errorf("%s with %q says\n%s%s\nwant that it blocks: %v", args, fields, got.out, got.err, want)
			}
		}
	}
}

// TestPlanWindow: a node that only waits for a window, which the cluster's configuration
// has, is no node that cannot be drained.
func TestPlanWindow(t *testing.T) {
	for fields, want := range map[string]int{
		"windows: [{schedule: \"0 3 29 2 *\", duration: 4h, timeZone: UTC}]\n": ExitFailure,
		"barePods: Block\n": 0,
	} {
		client := fake.NewClientset(append(deployed(configured(fields)), small(pod("web"))...)...)
		got := run(t, client, "plan", "na")
		late := strings.Contains(got.out, "Not finished within --limit:") && strings.Contains(got.err, "raise --limit to see whether they can be drained")
		if got.status != want || late != (want == ExitFailure) {
			t.Errorf("with %q: status %d, want %d:\n%s%s", fields, got.status, want, got.out, got.err)
		}
	}
}
