import { openers } from "./context-fixture.js";
import { describeWriting } from "./context-writing-suite.js";

for (const [name, open] of openers) describeWriting(name, open);
