// Sends a file to be brought in as it is, with its progress; without this a form does the same.
"use strict";

(() => {
  const form = document.querySelector("form[data-import]");
  if (!form) return;
  const progress = form.querySelector("progress");
  const button = form.querySelector("button");
  const report = document.getElementById("report");
  const notice = document.getElementById("notice");

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const file = form.elements.file.files[0];
    if (!file) return;
    const request = new XMLHttpRequest();
    const dry = form.elements.dry_run.checked;
    request.open("POST", `/research/import?dry_run=${dry}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.setRequestHeader("HX-Request", "true");
    request.setRequestHeader("X-Filename", encodeURIComponent(file.name).slice(0, 600));
    request.upload.addEventListener("progress", (sent) => {
      if (sent.lengthComputable) progress.value = (100 * sent.loaded) / sent.total;
    });
    request.upload.addEventListener("load", () => progress.removeAttribute("value"));
    request.addEventListener("loadend", () => {
      progress.hidden = true;
      progress.value = 0;
      button.disabled = false;
      if (request.status === 0) document.dispatchEvent(new Event("stellwerk:lost"));
    });
    request.addEventListener("load", () => {
      const home = request.status < 400 ? report : notice;
      home.innerHTML = request.responseText; // made by our own templates, which escape everything
      home.scrollIntoView({ block: "start" });
    });
    report.replaceChildren();
    notice.replaceChildren();
    progress.hidden = false;
    button.disabled = true;
    request.send(file);
  });
})();
