// Package bench is the ground floor of the test bench: benchmarks of whole
// paths, and the rules of the house as tests (house_test.go). The packages
// below it are the other side of the wire (cloud), what it is fed and
// disturbed with (signal, netem), who drives it (load, demo, peers), which
// libraries it is measured beside (rivals), and what it may cost (baseline).
//
// Measured here is what a frame costs on its way through several packages, and
// what a leg costs that waits for one:
//
//	inbound_test.go   read buffer to tap or handler
//	outbound_test.go  source to the text of a message
//	socket_test.go    there and back over TCP; allocations of either way
//	pacer_test.go     how late frames leave, and at what cost
//	memory_test.go    a leg with an idle connection
//	calls_test.go     paced calls at a server of its own, by bench/load
//	comings_test.go   what thousands of calls leave behind in it
//
// The cost of one function is measured beside its code. Every benchmark runs
// in the same binary with a peer, what one writes first, and a floor, code
// that does the least that could possibly work: the claim is the ratio, for
// nanoseconds differ from machine to machine and from hour to hour.
//
//	go test -run '^$' -bench . ./bench
//
// Not measured here: networks, schedulers of loaded machines, and clouds.
// No test fails because something was slow; a test that asserts speed asserts
// allocations.
//
// The package holds no code that a program could import.
package bench
