package e2e

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"

	"drainer.dev/drainer/test/await"
	"drainer.dev/drainer/test/suite"
)

// mounted is a token of drainer's ServiceAccount in a file, as a kubelet mounts it.
type mounted struct {
	file, token string
	// process is the one that has the token: its ID in the audit log follows from
	// that.
	process string
	life    time.Duration
	until   time.Time
}

// mount gives drainer a token that the API server accepts for so long after
// its first process started.
func (e *env) mount(life time.Duration) {
	e.Helper()
	e.mounted = &mounted{file: filepath.Join(e.TempDir(), "token"), life: life}
}

// renew replaces the token in its file. Whoever reads the file finds a whole one.
func (e *env) renew(until time.Time) {
	e.Helper()
	m := e.mounted
	var err error
	m.until = until
	if m.token, err = shared.Cluster.ServiceAccountToken(e.Context(), e.namespace, "drainer", "token-of-"+m.process, until); err != nil {
		e.Fatal(err)
	}
	next := m.file + ".next"
	if err := os.WriteFile(next, []byte(m.token), 0o600); err != nil {
		e.Fatal(err)
	}
	if err := os.Rename(next, m.file); err != nil {
		e.Fatal(err)
	}
}

// tokenFileFor is the file that has the token of a process which starts now: no
// process before it had one of the same ID. It is empty if none is mounted.
func (e *env) tokenFileFor(process string) string {
	e.Helper()
	if e.mounted == nil {
		return ""
	}
	m := e.mounted
	if m.until.IsZero() {
		m.until = time.Now().Add(m.life)
	}
	m.process = process
	e.renew(m.until)
	return m.file
}

// awaitExpired waits until the API server refuses a token.
func (f *trouble) awaitExpired(token string) {
	f.Helper()
	config := shared.Cluster.Config()
	config.BearerToken = token
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		f.Fatal(err)
	}
	suite.Await(f, nil, "the token has expired", func() error {
		f.revive()
		err := client.Discovery().RESTClient().Get().AbsPath("/api").Do(f.Context()).Error()
		if apierrors.IsUnauthorized(err) {
			return nil
		}
		return await.NotYet("the answer to it is %v", err)
	})
}

// refused is how many requests of the newest process were refused for their token; 0 if
// it has just ended.
func (f *trouble) refused() float64 {
	f.Helper()
	m, err := f.list[0].Metrics(f.Context())
	if err != nil {
		return 0
	}
	return m.Sum("rest_client_requests_total", "code", "401")
}

// evictedSince is how many evictions the API server received after the time.
func (f *trouble) evictedSince(at time.Time) (n int) {
	f.Helper()
	for _, a := range f.evictions() {
		if a.Received.After(at) {
			n++
		}
	}
	return n
}

// TestFaultTokenRotated: a kubelet replaces the token before it expires, and the drains
// continue with the new one: no request comes with one that has expired.
func TestFaultTokenRotated(t *testing.T) {
	e := setup(t, 6)
	// client-go reads the file every 50 s.
	e.mount(2 * time.Minute)
	f := disturb(e, "the token replaced in its file, and the old one expired", 1)
	first, old := f.list[0], e.mounted.token
	e.renew(time.Now().Add(time.Hour))
	f.request(f.draining[0], "fault")
	f.awaitExpired(old)
	expired := time.Now()
	f.requestAll("fault")
	f.recover("fault")
	if f.list[0] != first {
		t.Errorf("another process was started because %s ended", first.Log)
	}
	if n := f.refused(); n > 0 {
		t.Errorf("%v requests were refused for their token", n)
	}
	if f.evictedSince(expired) == 0 {
		t.Error("no pod was evicted after the token expired: the test shows nothing")
	}
}

// TestFaultTokenExpired: the token expires during the drains, and the next one comes
// 15 s later.
func TestFaultTokenExpired(t *testing.T) {
	e := setup(t, 6)
	e.mount(40 * time.Second)
	f := disturb(e, "the token expired, and replaced 15 s later", 1)
	f.request(f.draining[0], "fault")
	f.awaitExpired(e.mounted.token)
	expired := time.Now()
	f.requestAll("fault")
	poll(t, "drainer is refused", func() bool { f.revive(); return f.refused() > 0 })
	f.last(faultFor, time.Second, 2*time.Second, func() {})
	if n := f.evictedSince(expired); n > 0 {
		t.Errorf("%d evictions were accepted with a token that has expired", n)
	}
	e.renew(time.Now().Add(time.Hour))
	f.recover("fault")
	if f.evictedSince(expired) == 0 {
		t.Error("no pod was evicted after the token expired: the test shows nothing")
	}
}
