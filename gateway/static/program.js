// Inside the frame of a program, between its library and itself: says what goes wrong in it, and
// lets a tune begin. Sketches begin by themselves once the document is there.
"use strict";

(() => {
  // The only ways out that no policy of browsers closes.
  for (const name of ["RTCPeerConnection", "webkitRTCPeerConnection"]) delete window[name];

  const words = document.currentScript.dataset;

  function say(text) {
    const line = document.createElement("p");
    line.setAttribute("role", "status");
    line.textContent = text;
    document.body.prepend(line);
    return line;
  }

  let told = false; // a sketch that fails does so sixty times a second
  function fault(reason) {
    if (told) return;
    told = true;
    say(`${words.fault} ${reason}`);
  }
  window.addEventListener("error", (event) => fault(event.message));
  window.addEventListener("unhandledrejection", (event) => fault(event.reason));

  // Browsers let nothing sound before somebody has pressed something; perhaps that was outside.
  function tune() {
    const button = document.createElement("button");
    button.textContent = words.tap;
    let begun = false;
    const begin = async () => {
      await Tone.start();
      if (begun) return;
      begun = true;
      button.remove();
      say(words.sounds);
      if (typeof play === "function") play();
    };
    button.addEventListener("click", begin);
    document.body.append(button);
    begin();
  }
  if (typeof Tone !== "undefined") window.addEventListener("load", tune);
})();
