//go:build race

package rtpmedia

// The race detector makes everything ten times slower, and finds in ten minutes
// of a stream what it would in an hour.
func init() { driftSeconds = 600 }
