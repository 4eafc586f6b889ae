// Package scenario makes random clusters, the actions of people and others, and
// faults, from a source of numbers: a seeded one, or one that simplifies what
// fails. The smaller the numbers, the simpler the scenario.
//
// Tests run a scenario with drainer on the model of pkg/sim, over HTTP or not, and
// let test/invariant judge.
package scenario
