// Starts and stops programs: each in a frame of its own, which is there only while it runs.
"use strict";

(() => {
  const frameOf = (button) => document.querySelector(`#${button.getAttribute("aria-controls")} iframe`);

  function start(button) {
    const frame = document.createElement("iframe");
    frame.className = "program-frame";
    frame.title = button.dataset.title;
    // Without an origin: no cookies, no storage, no way to this page. Nothing beyond is allowed.
    frame.setAttribute("sandbox", "allow-scripts");
    frame.allow = "autoplay";
    frame.referrerPolicy = "no-referrer";
    frame.src = button.dataset.program;
    document.getElementById(button.getAttribute("aria-controls")).append(frame);
  }

  function label(button) {
    button.textContent = frameOf(button) ? button.dataset.stop : button.dataset.play;
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-program]");
    if (!button) return;
    const running = frameOf(button);
    if (running) running.remove();
    else start(button);
    label(button);
  });

  // What runs goes on when the page around it is drawn anew.
  Idiomorph.defaults.callbacks.beforeNodeRemoved = (node) => !(node instanceof HTMLIFrameElement);
  document.addEventListener("stellwerk:drawn", () => {
    for (const button of document.querySelectorAll("button[data-program]")) label(button);
  });
})();
