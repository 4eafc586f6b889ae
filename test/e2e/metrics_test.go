package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/cert"
)

// reviewRules are what the chart grants with metrics.tls.authorize
// (TestMetricsTLS in test/chart) in addition to deploy's roles.
var reviewRules = []rbacv1.PolicyRule{
	{APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"tokenreviews"}, Verbs: []string{"create"}},
	{APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"subjectaccessreviews"}, Verbs: []string{"create"}},
}

// scraper reads metrics by HTTPS, as a ServiceAccount.
type scraper struct {
	*env
	address, token string
	trusted        *x509.CertPool
}

// get is the status and the text of an answer. Each asks by a new connection.
func (s *scraper) get() (int, string) {
	s.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.trusted, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}
	request, err := http.NewRequestWithContext(s.Context(), http.MethodGet, "https://"+s.address+"/metrics", http.NoBody)
	if err != nil {
		s.Fatal(err)
	}
	if s.token != "" {
		request.Header.Set("Authorization", "Bearer "+s.token)
	}
	answer, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		s.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// tokenOf is a token of a ServiceAccount of the test's namespace.
func (e *env) tokenOf(account string) string {
	e.Helper()
	token, err := shared.Client.CoreV1().ServiceAccounts(e.namespace).CreateToken(e.Context(), account, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		e.Fatal(err)
	}
	return token.Status.Token
}

// certify writes a certificate for the local host to the files, and returns who
// trusts it.
func (e *env) certify(certFile, keyFile string) *x509.CertPool {
	e.Helper()
	certificate, key, err := cert.GenerateSelfSignedCertKey("127.0.0.1", nil, nil)
	if err != nil {
		e.Fatal(err)
	}
	for path, text := range map[string][]byte{certFile: certificate, keyFile: key} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			e.Fatal(err)
		}
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(certificate)
	return trusted
}

// TestMetricsReaders: metrics are served by HTTPS to those only who may get them,
// with the certificate that is in the files.
func TestMetricsReaders(t *testing.T) {
	e := setup(t, 1)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "reader"}}
	if _, err := shared.Client.CoreV1().ServiceAccounts(e.namespace).Create(e.Context(), account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	e.grant("drainer-reviews", "drainer", reviewRules...)
	reads := e.grant("drainer-metrics-reader", "reader", rbacv1.PolicyRule{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}})
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	s := &scraper{env: e, trusted: e.certify(certFile, keyFile)}
	p := e.start("--metrics-tls-cert-file="+certFile, "--metrics-tls-private-key-file="+keyFile, "--metrics-authorize", "--v=10")
	s.address = p.MetricsAddress()
	reader := e.tokenOf("reader")
	for name, test := range map[string]struct {
		token string
		want  int
	}{
		"nobody":                     {"", http.StatusUnauthorized},
		"somebody else's token":      {"e30.e30.e30", http.StatusUnauthorized},
		"an account that may not":    {e.tokenOf("drainer"), http.StatusForbidden},
		"an account that may":        {reader, http.StatusOK},
		"that account, cut short":    {reader[:len(reader)-4], http.StatusUnauthorized},
		"that account, another time": {reader, http.StatusOK},
	} {
		s.token = test.token
		if got, text := s.get(); got != test.want || strings.Contains(text, "drainer_build_info") != (got == http.StatusOK) {
			t.Errorf("%s: %d, want %d: %.200s", name, got, test.want, text)
		}
	}
	s.token, s.trusted = reader, e.certify(certFile, keyFile)
	if got, text := s.get(); got != http.StatusOK {
		t.Errorf("with another certificate: %d: %.200s", got, text)
	}
	if err := shared.Client.RbacV1().ClusterRoleBindings().Delete(e.Context(), reads, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	poll(t, "an account that may no longer read is refused", func() bool {
		got, _ := s.get()
		return got == http.StatusForbidden
	})
	e.checkSecrets(p, map[string]string{"the reader's token": reader, "the certificate's key": e.read(keyFile)})
}
