// Package deploy holds the manifests by which drainer is installed, for tests
// that run it under just these permissions.
package deploy

import "embed"

// Manifests are the YAML files of this folder.
//
//go:embed *.yaml
var Manifests embed.FS
