// Loaded into a gateway before it starts (NODE_OPTIONS=--import): SIGUSR2 makes its event loop late, again makes it
// quick again. It stands still for 350 ms, then runs for 50 ms, over and over.
let stalling;
process.on("SIGUSR2", () => {
  if (stalling) {
    clearInterval(stalling);
    stalling = undefined;
    return;
  }
  stalling = setInterval(() => {
    const endMs = performance.now() + 350;
    while (performance.now() < endMs);
  }, 400);
  stalling.unref();
});
