// Package rivals measures us beside published libraries that do the same, in
// one run and on the same frames: rings (ring_test.go) and JSON
// (json_test.go). Its tests see to it that each rival really does it.
//
//	go test -run '^$' -bench .
//	GOEXPERIMENT=jsonv2 go test -run '^$' -bench 'Read|Write'
//
// It is a module of its own, for the product has none of these dependencies;
// and it holds no code that a program could import.
package rivals
