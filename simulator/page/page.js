// The page of the simulator: places calls, rings, and says how each call stands. One WebSocket carries all of it.
import { openLine, openMicrophone } from "./line.js";

const $ = (selector, within = document) => within.querySelector(selector);
const cards = new Map();
/** By the number that the simulator gave: { line, waiting }. */
const lines = new Map();
/** Sound files of the calls that were asked for, in order; undefined: the microphone. */
const asked = [];
/** The same of those that were placed, by call. */
const files = new Map();
const ignored = new Set();
let socket;

// A tab for one of the two alone.
const only = location.hash.slice(1);
$("#caller").hidden = only === "specialist";

function connect() {
  socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/page/socket`);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => {
    $("#state").textContent = "Connected to the simulator.";
  };
  socket.onclose = () => {
    $("#state").textContent = "The simulator is away. Trying again…";
    for (const number of [...lines.keys()]) endLine(number);
    setTimeout(connect, 1_000);
  };
  socket.onmessage = ({ data }) => {
    if (data instanceof ArrayBuffer) hear(data);
    else take(JSON.parse(data));
  };
}

function take(message) {
  if (message.type === "calls") show(message.calls);
  else if (message.type === "line") void beginLine(message);
  else if (message.type === "lineEnded") endLine(message.line);
  else if (message.type === "placed") files.set(message.call, asked.shift());
  else if (message.type === "refused") {
    if (message.wish === "call") asked.shift();
    $("#problem").textContent = message.message;
  }
}

const tell = (message) => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify(message));

async function beginLine({ line: number, call, role, rate }) {
  const entry = { call, line: undefined };
  lines.set(number, entry);
  const send = (pcm) => {
    const frame = new Uint8Array(1 + pcm.byteLength);
    frame[0] = number;
    frame.set(new Uint8Array(pcm), 1);
    // What waits in the browser for long is too late to be said.
    if (socket.readyState === WebSocket.OPEN && socket.bufferedAmount < 65_536) socket.send(frame);
  };
  const onLevel = (which, level) => {
    const meter = cards.get(call)?.querySelector(`.${which}`);
    if (meter) meter.value = level;
  };
  try {
    const file = role === "caller" ? files.get(call) : undefined;
    files.delete(call);
    const line = await openLine({ rate, file, send, onLevel });
    if (lines.get(number) === entry) entry.line = line;
    else line.close();
  } catch (error) {
    $("#problem").textContent = `No sound: ${error.message}`;
  }
}

function endLine(number) {
  lines.get(number)?.line?.close();
  lines.delete(number);
}

function hear(data) {
  const [number] = new Uint8Array(data, 0, 1);
  lines.get(number)?.line?.hear(data.slice(1));
}

function words({ state, ringing, agentMode, agentLeft, endReason, calleeHere }) {
  if (state === "DISCONNECTED") return `over (${endReason.replaceAll("_", " ")})`;
  if (ringing) return "the specialist's phone rings";
  if (state === "PENDING") return "rings, nobody has answered yet";
  if (state === "ANSWERED") return "with the agent";
  if (agentLeft) return "caller and specialist talk, the agent has left";
  return calleeHere
    ? `caller and specialist talk, the agent ${{ spy: "listens", whisper: "whispers", barge: "speaks" }[agentMode] ?? ""}`
    : "connected";
}

function show(calls) {
  $("#none").hidden = calls.length > 0;
  for (const [id, card] of cards) {
    if (calls.some((call) => call.id === id)) continue;
    card.remove();
    cards.delete(id);
  }
  for (const call of calls) {
    const card = cards.get(call.id) ?? addCard(call);
    const text = words(call);
    // A status is read aloud when it changes, not whenever it is written.
    if ($(".what", card).textContent !== text) $(".what", card).textContent = text;
    const mine = [...lines.values()].some((line) => line.call === call.id);
    const rings = call.ringing && !ignored.has(call.id) && only !== "caller";
    card.classList.toggle("ringing", rings);
    for (const name of ["pickUp", "refuse", "ignore"]) $(`.${name}`, card).hidden = !rings;
    $(".hangUp", card).hidden = call.state === "DISCONNECTED" || !(mine || call.placedHere);
    $(".levels", card).hidden = !mine;
    if (!call.ringing) ignored.delete(call.id);
  }
  const ringing = calls.some((call) => call.ringing && !ignored.has(call.id));
  document.title = ringing && only !== "caller" ? "Ringing: Simulator" : "Simulator";
}

function addCard({ id, from, to }) {
  const card = $("#card").content.firstElementChild.cloneNode(true);
  card.dataset.call = id;
  $(".who", card).textContent = `${from || "withheld"} calls ${to}`;
  $(".pickUp", card).onclick = async () => {
    try {
      await openMicrophone();
      tell({ do: "pickUp", call: id });
    } catch (error) {
      $("#problem").textContent = `No microphone: ${error.message}`;
    }
  };
  $(".refuse", card).onclick = () => tell({ do: "refuse", call: id });
  $(".ignore", card).onclick = () => ignored.add(id);
  $(".hangUp", card).onclick = () => tell({ do: "hangUp", call: id });
  cards.set(id, card);
  $("#calls").prepend(card);
  return card;
}

$("#call").onsubmit = async (event) => {
  event.preventDefault();
  $("#problem").textContent = "";
  const { from, to, voice, file } = event.target.elements;
  try {
    if (voice.value === "wav") {
      if (!file.files[0]) throw new Error("choose a sound file first");
      asked.push(await file.files[0].arrayBuffer());
    } else {
      await openMicrophone();
      asked.push(undefined);
    }
    tell({ do: "call", from: from.value.trim(), to: to.value.trim() });
  } catch (error) {
    $("#problem").textContent = voice.value === "wav" ? error.message : `No microphone: ${error.message}`;
  }
};

connect();
