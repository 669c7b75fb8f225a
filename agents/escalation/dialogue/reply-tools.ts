import type { ReplyTool } from "../../speech/ports.js";
import { ESCALATION_REASONS } from "../call-port.js";
import type { Prompts } from "../prompts.js";

/** The two tools that a model has: hand the call to a human, end it. */
export function replyTools(prompts: Prompts): readonly ReplyTool[] {
  return [
    {
      name: "escalate_to_human",
      description: prompts.model.escalate_tool,
      parameters: {
        type: "object",
        properties: {
          reason: { type: "string", enum: [...ESCALATION_REASONS] },
          summary: { type: "string", description: "At most three sentences for the human who takes over." },
        },
        required: ["reason", "summary"],
        additionalProperties: false,
      },
    },
    {
      name: "end_call",
      description: prompts.model.end_tool,
      parameters: { type: "object", properties: {}, additionalProperties: false },
    },
  ];
}
