// Package callweave answers phone calls with a few lines of Go.
//
// An [Agent] registers in a pool of a gateway and runs a [Handler] for each call that it takes. The handler hears
// ([Call.Audio]), speaks ([Call.Play]), and gives commands ([Call.Escalate], [Call.Connect] …). A [Client] has no seat:
// it lists, watches, hears and commands calls, and reads and writes their contexts.
//
// Data is the contract's own, generated from its .proto files: package callweave.dev/go/callweave/v1. Everything that
// fails gives an [*Error] with a stable [Reason].
package callweave
