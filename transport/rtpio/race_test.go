//go:build race

package rtpio

func init() { raced = true }
