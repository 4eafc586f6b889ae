// Package configuration makes the reference of the configuration file from the
// comments of its types: docs/configuration.md and its JSON schema.
package configuration
