// Package bench is the ground floor of the test bench: benchmarks of whole
// paths, and the rules of the house as tests (house_test.go). The packages
// below it are the other side of the wire (cloud), what it is fed and
// disturbed with (signal, netem), and who drives it (load, demo, peers).
//
// Measured here is what a frame costs on its way through several packages:
// wire to tap, source to wire, tap to file, a leg standing idle. The cost of
// one function is measured beside its code. Every benchmark reports its
// allocations and runs with a floor, code that does the least that could
// possibly work, in the same binary: the claim is the ratio of the two, for
// nanoseconds differ from machine to machine and from hour to hour.
//
// Not measured here: networks, schedulers of loaded machines, and clouds.
// No test fails because something was slow; a test that asserts speed asserts
// allocations.
//
// The package holds no code that a program could import.
package bench
