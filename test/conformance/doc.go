// Package conformance has a script that runs on the model of pkg/sim, over
// HTTP, and on a real control plane. Both must give the same answers, statuses
// and fates of pods, except for the differences that are listed by name.
//
// A script is text. A line that begins in the first column is a step; the
// indented lines below it are what it gives. A step without such lines only has
// to succeed. Names of pods are those of their app with a number, in the order
// in which they appear, so that the two sides can be compared.
package conformance
