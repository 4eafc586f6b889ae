// Package scenario makes random clusters, what people and others do to them,
// and what goes wrong in the meantime, from a source of numbers: a seeded one, or one
// that shrinks what fails. The smaller the numbers, the simpler the scenario.
//
// A scenario is for whoever runs drainer on the model of pkg/sim, by whichever
// door, and lets test/invariant judge.
package scenario
