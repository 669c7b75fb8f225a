// Runs in the page before its own scripts: keeps everything that goes to the loudspeaker, for `heardBy`, and what comes
// from the microphone.
(() => {
  const heard = [];
  globalThis.callweaveHeard = heard;
  const taps = new WeakMap();
  const { connect } = AudioNode.prototype;
  AudioNode.prototype.connect = function (...args) {
    const [target] = args;
    if (target instanceof AudioDestinationNode) {
      let tap = taps.get(this.context);
      if (!tap) {
        tap = this.context.createScriptProcessor(2048, 1, 1);
        tap.onaudioprocess = ({ inputBuffer }) => heard.push(inputBuffer.getChannelData(0).slice());
        taps.set(this.context, tap);
        connect.call(tap, target);
      }
      connect.call(this, tap);
    }
    return connect.apply(this, args);
  };
  // The microphone too, so that it can be unplugged.
  const streams = [];
  globalThis.callweaveMicrophones = streams;
  if (navigator.mediaDevices) {
    const { getUserMedia } = MediaDevices.prototype;
    MediaDevices.prototype.getUserMedia = async function (...args) {
      const stream = await getUserMedia.apply(this, args);
      streams.push(stream);
      return stream;
    };
  }
})();
