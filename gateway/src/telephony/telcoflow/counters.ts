/** What the adapter counts since it was made; whole numbers that only grow. For metrics and tests. */
export class TelcoflowCounters {
  /** Sign-ins that succeeded, the first one included. */
  signIns = 0;
  /** Sign-ins after the first. */
  reconnects = 0;
  /** Control connections that could not be opened or not signed in. */
  connectFailures = 0;
  /** Control connections that were lost after the sign-in. */
  controlLost = 0;
  /** Claims sent; claims that were refused, timed out or were cut off. */
  claims = 0;
  claimsLost = 0;
  /** Own live calls claimed again after a reconnect. */
  reclaims = 0;
  /** Calls handed to the gateway. */
  calls = 0;
  /** Frames that could not be read: not JSON, no object, a field missing or of the wrong type. */
  badFrames = 0;
  /** Control connections closed because of too many bad frames. */
  badFrameCloses = 0;
  /** Frames of a type this version does not know; ignored. */
  unknownTypes = 0;
  /** `call_event` of an event this version does not know; ignored. */
  unknownEvents = 0;
  /** `session.notify` of an activity that is no call, or of another channel; ignored. */
  ignoredNotices = 0;
  /** Messages of the WhatsApp channel; ignored. */
  ignoredMessages = 0;
  /** `call.in` for a session that is not ours, or a second call in a session with a live one; ignored. */
  unexpectedCalls = 0;
  /** Media addresses outside the allowed hosts; never dialled. */
  mediaHostRefused = 0;
  /** Binary frames of 0 or 1 byte; ignored. */
  shortAudioFrames = 0;
  /** Binary frames whose audio had an odd length; the odd byte went before the next frame. */
  oddAudioFrames = 0;
  /** Messages over the size or fragment limit; each ended its connection. */
  oversizeFrames = 0;
  /** Answers to requests and commands that nobody waits for any more. */
  lateResponses = 0;
  /** `buffer_request` for another channel than 0; ignored. */
  creditOtherChannel = 0;
  /** `buffer_request` whose credit was cut to the limit. */
  creditCut = 0;
  /** Times that the playback was not read because the socket still held too much. */
  sendStalls = 0;
  mediaOpened = 0;
  mediaOpenFailures = 0;
  /** Media connections that ended without being asked to. */
  mediaDropped = 0;
  /** Media connections that came back. */
  mediaReopened = 0;
  audioFramesIn = 0;
  audioBytesIn = 0;
  audioFramesOut = 0;
  audioBytesOut = 0;
  /** Errors thrown by the gateway's handlers; caught. */
  handlerErrors = 0;
}
