package callweave

import (
	"strings"

	pb "callweave.dev/go/callweave/v1"
)

// Short names for what the contract calls pb.EscalationReason_ESCALATION_REASON_ASKED_FOR_HUMAN and so on.
const (
	// AskedForHuman: the caller asked for a person.
	AskedForHuman = pb.EscalationReason_ESCALATION_REASON_ASKED_FOR_HUMAN
	// Frustrated: the caller is frustrated.
	Frustrated = pb.EscalationReason_ESCALATION_REASON_FRUSTRATED
	// OutOfScope: the agent does not do that.
	OutOfScope = pb.EscalationReason_ESCALATION_REASON_OUT_OF_SCOPE
	// NotUnderstood: the agent did not understand the caller.
	NotUnderstood = pb.EscalationReason_ESCALATION_REASON_NOT_UNDERSTOOD
	// Emergency: somebody is in danger.
	Emergency = pb.EscalationReason_ESCALATION_REASON_EMERGENCY
	// ProviderFailed: a speech or model provider failed.
	ProviderFailed = pb.EscalationReason_ESCALATION_REASON_PROVIDER_FAILED

	// OutcomeConnected: a human has the caller.
	OutcomeConnected = pb.EscalationOutcome_ESCALATION_OUTCOME_CONNECTED
	// OutcomeUnanswered: nobody picked up; the agent still has the call.
	OutcomeUnanswered = pb.EscalationOutcome_ESCALATION_OUTCOME_UNANSWERED
	// OutcomeNotConfirmed: somebody picked up and did not accept; the agent still has the call.
	OutcomeNotConfirmed = pb.EscalationOutcome_ESCALATION_OUTCOME_PICKED_UP_NOT_CONFIRMED
	// OutcomeCallerLeft: the caller hung up meanwhile.
	OutcomeCallerLeft = pb.EscalationOutcome_ESCALATION_OUTCOME_CALLER_LEFT

	// Barge: caller and callee hear the agent.
	Barge = pb.AgentMode_AGENT_MODE_BARGE
	// Whisper: only the callee hears the agent.
	Whisper = pb.AgentMode_AGENT_MODE_WHISPER
	// Spy: nobody hears the agent.
	Spy = pb.AgentMode_AGENT_MODE_SPY

	// Pending: the call rings.
	Pending = pb.CallState_CALL_STATE_PENDING
	// Answered: the agent talks with the caller.
	Answered = pb.CallState_CALL_STATE_ANSWERED
	// Connected: the callee is in the call.
	Connected = pb.CallState_CALL_STATE_CONNECTED
	// Disconnected: the call is over.
	Disconnected = pb.CallState_CALL_STATE_DISCONNECTED

	// TurnCaller: the caller said it.
	TurnCaller = pb.TurnRole_TURN_ROLE_CALLER
	// TurnAI: the agent said it.
	TurnAI = pb.TurnRole_TURN_ROLE_AI
	// TurnSpecialist: a human specialist said it.
	TurnSpecialist = pb.TurnRole_TURN_ROLE_SPECIALIST

	// S16LE: 16 bits, little endian, the default.
	S16LE = pb.AudioEncoding_AUDIO_ENCODING_S16LE
	// MuLaw: 8 bits, at 8 kHz.
	MuLaw = pb.AudioEncoding_AUDIO_ENCODING_MULAW
	// ALaw: 8 bits, at 8 kHz.
	ALaw = pb.AudioEncoding_AUDIO_ENCODING_ALAW

	// AfterNow: at once.
	AfterNow = pb.AfterCondition_AFTER_CONDITION_NOW
	// AfterDrained: when all audio played before it on this call was heard.
	AfterDrained = pb.AfterCondition_AFTER_CONDITION_PLAYBACK_DRAINED
	// AfterMark: when the mark was heard.
	AfterMark = pb.AfterCondition_AFTER_CONDITION_MARK

	// InterruptCancels: Clear cancels the waiting command.
	InterruptCancels = pb.OnInterrupt_ON_INTERRUPT_CANCEL
	// InterruptProceeds: at Clear the waiting command goes ahead.
	InterruptProceeds = pb.OnInterrupt_ON_INTERRUPT_PROCEED
)

// Format is an audio format at so many samples a second: s16le.
func Format(sampleRateHertz int) *pb.AudioFormat {
	return &pb.AudioFormat{Encoding: S16LE, SampleRateHertz: int32(sampleRateHertz)}
}

// enumName is the name of an enum value without its prefix; empty when it is not given.
func enumName(name, prefix string) string {
	name = strings.TrimPrefix(name, prefix)
	if name == "UNSPECIFIED" {
		return ""
	}
	return name
}

// agreedFormat fills in the defaults: s16le at the rate of the call.
func agreedFormat(format *pb.AudioFormat, callRate int32) *pb.AudioFormat {
	encoding := format.GetEncoding()
	if encoding == pb.AudioEncoding_AUDIO_ENCODING_UNSPECIFIED {
		encoding = S16LE
	}
	rate := format.GetSampleRateHertz()
	if rate == 0 && encoding != S16LE {
		rate = 8000
	}
	if rate == 0 {
		rate = callRate
	}
	if rate == 0 {
		rate = 16_000
	}
	return &pb.AudioFormat{Encoding: encoding, SampleRateHertz: rate}
}
