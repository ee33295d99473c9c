// What all pages share: saying that the connection is gone, and that it is back.
"use strict";

(() => {
  const line = document.getElementById("connection");

  function lost() {
    line.textContent = line.dataset.lost;
    line.dataset.state = "lost";
    line.hidden = false;
  }

  function back() {
    if (line.hidden || line.dataset.state !== "lost") return;
    line.textContent = line.dataset.back;
    line.dataset.state = "back";
    setTimeout(() => {
      if (line.dataset.state === "back") line.hidden = true;
    }, 4000);
  }

  window.addEventListener("offline", lost);
  window.addEventListener("online", back);
  document.addEventListener("stellwerk:lost", lost);
  document.addEventListener("stellwerk:back", back);
  document.body.addEventListener("htmx:sendError", lost);
  document.body.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.successful) back();
  });

  // A notice about what went wrong must be seen, also by those who have scrolled on.
  document.body.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id === "notice") event.detail.target.scrollIntoView({ block: "center" });
  });
})();
