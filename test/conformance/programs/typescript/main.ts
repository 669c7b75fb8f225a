// The TypeScript program of the conformance suite. Its protocol is in docs/new-language.md.
import { runProgram } from "./program.js";

await runProgram();
