package cli

import (
	"reflect"
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
	args := func(args ...string) func(*appsv1.Deployment) {
		return func(d *appsv1.Deployment) { main(d).Args = args }
	}
	const file = "/etc/drainer/drainer.yaml"
	for name, test := range map[string]struct {
		change func(*appsv1.Deployment)
		want   Running
		err    string
	}{
		"a file":      {func(*appsv1.Deployment) {}, Running{Args: []string{"--v=2", "--config=" + file}, File: file, Text: "x"}, ""},
		"two words":   {args("run", "--config", file), Running{Args: []string{"run", "--config", file}, File: file, Text: "x"}, ""},
		"only flags":  {args("--max-draining=3"), Running{Args: []string{"--max-draining=3"}}, ""},
		"no flags":    {args(), Running{}, ""},
		"a last word": {args("--config"), Running{Args: []string{"--config"}}, ""},
		"another name": {func(d *appsv1.Deployment) {
			main(d).Args = []string{"--config=/etc/drainer/a/b"}
			d.Spec.Template.Spec.Volumes[1].ConfigMap.Items = []corev1.KeyToPath{{Key: "drainer.yaml", Path: "a/b"}}
		}, Running{Args: []string{"--config=/etc/drainer/a/b"}, File: "/etc/drainer/a/b", Text: "x"}, ""},
		"one key": {func(d *appsv1.Deployment) {
			main(d).Args = []string{"--config=/c"}
			main(d).VolumeMounts[1].MountPath, main(d).VolumeMounts[1].SubPath = "/c", "drainer.yaml"
		}, Running{Args: []string{"--config=/c"}, File: "/c", Text: "x"}, ""},
		"no such key":     {args("--config=/etc/drainer/other"), Running{}, "the ConfigMap ops/drainer-config, which deployment/d in the namespace ops mounts, has no key other"},
		"in the image":    {args("--config=/etc/other/c"), Running{}, "has --config=/etc/other/c: only a file that is mounted from a ConfigMap can be read"},
		"in a Secret":     {args("--config=/etc/tls/c"), Running{}, "only a file that is mounted from a ConfigMap can be read"},
		"no container":    {func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers = nil }, Running{}, "has no container"},
		"no ConfigMap":    {func(d *appsv1.Deployment) { d.Spec.Template.Spec.Volumes[1].ConfigMap.Name = "x" }, Running{}, `reading the configuration of deployment/d in the namespace ops: configmaps "x" not found`},
		"another program": {func(d *appsv1.Deployment) { d.Labels = nil }, Running{}, "none"},
	} {
		got, err := findRunning(t.Context(), fake.NewClientset(deployed("x", test.change)...), "")
		switch {
		case test.err == "none":
			if got != nil || err != nil {
				t.Errorf("%s: found %+v, %v", name, got, err)
			}
			continue
		case test.err != "":
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: the error is %v, want %q", name, err, test.err)
			}
			continue
		case err != nil:
			t.Errorf("%s: %v", name, err)
			continue
		}
		if test.want.Deployment = "deployment/d in the namespace ops"; !reflect.DeepEqual(*got, test.want) {
			t.Errorf("%s: found %+v, want %+v", name, *got, test.want)
		}
	}
}

// TestFindRunningWhere: drainer is found in any namespace, by those who may look there,
// and several are not guessed between.
func TestFindRunningWhere(t *testing.T) {
	inDefault := func(d *appsv1.Deployment) { d.Namespace = defaultNamespace }
	flagsOnly := func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[1].Args = nil }
	two := append(deployed("x", flagsOnly), deployed("x", flagsOnly, inDefault)[0])
	for name, test := range map[string]struct {
		objects   []runtime.Object
		namespace string
		forbidden bool
		want, err string
	}{
		"anywhere":             {deployed("x", flagsOnly), "", false, "deployment/d in the namespace ops", ""},
		"there":                {two, "ops", false, "deployment/d in the namespace ops", ""},
		"elsewhere":            {deployed("x", flagsOnly), "shop", false, "", ""},
		"several":              {two, "", false, "", "there are several: deployment/d in the namespace drainer, deployment/d in the namespace ops"},
		"forbidden":            {two, "", true, "deployment/d in the namespace drainer", ""},
		"forbidden, elsewhere": {deployed("x", flagsOnly), "", true, "", ""},
	} {
		client := fake.NewClientset(test.objects...)
		if test.forbidden {
			client.PrependReactor("list", "deployments", func(a clienttesting.Action) (bool, runtime.Object, error) {
				return a.GetNamespace() == "", nil, apierrors.NewForbidden(appsv1.Resource("deployments"), "", nil)
			})
		}
		got, err := findRunning(t.Context(), client, test.namespace)
		found := ""
		if got != nil {
			found = got.Deployment
		}
		if found != test.want || (err == nil) != (test.err == "") || err != nil && err.Error() != test.err {
			t.Errorf("%s: found %q, %v; want %q, %q", name, found, err, test.want, test.err)
		}
	}
}

// TestDrainLimits: --yes is needed for more nodes than the drainer in the cluster drains
// at once.
func TestDrainLimits(t *testing.T) {
	broken := "drainer has its default configuration, because that of the one in the cluster cannot be read: "
	for name, test := range map[string]struct {
		daemon []runtime.Object
		args   string
		want   []string
	}{
		"enough":         {deployed(configured("maxDraining: 2\n")), "drain na nb", nil},
		"too many":       {deployed(configured("maxDraining: 2\n")), "drain na nb nc", []string{"3 nodes are asked for, and drainer drains 2 of 4 at once (maxDraining: 2)", "drainer is configured like deployment/d in the namespace ops"}},
		"that is fine":   {deployed(configured("maxDraining: 2\n")), "drain na nb nc --yes", nil},
		"elsewhere":      {deployed(configured("maxDraining: 2\n")), "drain na nb -n shop", []string{"drainer drains 1 of 4 at once (maxDraining: 10%)", "none runs in the namespace shop"}},
		"none":           {nil, "drain na nb", []string{"drainer has its default configuration, because none runs in the cluster"}},
		"not understood": {deployed(configured("new: 1\n")), "drain na nb", []string{broken, "new"}},
		"a pool": {
			deployed(configured("maxDraining: 4\npools: [{name: x, nodeSelector: {matchLabels: {pool: x}}, maxDraining: 50%}]\n")), "drain -l pool=x",
			[]string{"4 nodes of the pool x are asked for, and drainer drains 2 of 4 at once (maxDraining: 50%)"},
		},
		"of those served": {deployed(configured("maxDraining: 75%\nnodeSelector: {matchExpressions: [{key: kubernetes.io/hostname, operator: DoesNotExist}]}\n")), "drain -l pool=x", []string{"drains 3 of 4 at once"}},
	} {
		got := run(t, fake.NewClientset(append(fleet(4), test.daemon...)...), strings.Fields(test.args)...)
		if (got.status == 0) != (test.want == nil) {
			t.Errorf("%s: status %d: %s", name, got.status, got.err)
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
			if text := strings.Join(strings.Fields(got.out), " "); !strings.Contains(text, "drainer is configured like deployment/d in the namespace ops") || strings.Contains(text, blocks) != want {
				t.Errorf("%s with %q says\n%s%s\nwant that it blocks: %v", args, fields, got.out, got.err, want)
			}
		}
	}
}
