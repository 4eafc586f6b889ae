// Package config is drainer's configuration file: its types, defaults, strict
// decoding and validation.
//
// A file is decoded into the defaults, so that what it does not name keeps its
// default. Every problem is reported, not only the first, with the path of the
// field and the line.
package config
