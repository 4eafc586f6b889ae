// Package release has no code: its tests show that what a release is made of
// keeps its promises. They live in a module of their own, so that the linters
// they use are none of the product's dependencies.
package release
