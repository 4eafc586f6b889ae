// Package guard protects what the process serves: with a certificate that may
// be replaced at any time, and by asking the API server who a client is and
// whether it may read. It follows what Kubernetes' own components do
// (k8s.io/apiserver's DelegatingAuthenticator and DelegatingAuthorizer), without
// their dependencies.
package guard
