//go:build !linux

package record

func childFills([]string) {}
