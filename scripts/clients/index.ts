import type { ClientLanguage } from "./client-language.js";
import { go } from "./go.js";
import { java } from "./java.js";
import { python } from "./python.js";
import { rust } from "./rust.js";
import { typescript } from "./typescript.js";

/** The languages with a client, in the order in which they came. */
export const CLIENT_LANGUAGES: readonly ClientLanguage[] = [typescript, python, go, java, rust];
