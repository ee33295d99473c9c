// The form of the data: marks what was changed and not saved, and measures how long it took.
"use strict";

(() => {
  const form = document.getElementById("data");
  if (!form) return;
  const line = document.getElementById("unsaved");
  let since = 0;

  const isTouched = (field) => field.type === "checkbox" ? field.checked !== field.defaultChecked
    : field.options ? [...field.options].some((each) => each.selected !== each.defaultSelected)
      : field.value !== field.defaultValue;

  form.addEventListener("input", (event) => {
    since = since || Date.now();
    form.elements.editing_seconds.value = ((Date.now() - since) / 1000).toFixed(1);
    event.target.classList.toggle("touched", isTouched(event.target));
    const count = form.querySelectorAll(".touched").length;
    line.textContent = count ? form.dataset.unsaved.replace("{n}", count) : "";
  });
})();
