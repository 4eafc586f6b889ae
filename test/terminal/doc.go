// Package terminal shows what programs look like in a terminal: it runs them in a
// pseudo-terminal, carries out the escape sequences that they write, and draws
// the result as a picture.
package terminal
