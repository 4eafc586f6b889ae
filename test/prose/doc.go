// Package prose holds what people read to plain English: a test lists words that
// the project avoids, each with what to write instead.
package prose
