// The form of an idea: shows the pictures that were chosen, before they are sent.
"use strict";

document.addEventListener("change", (event) => {
  const field = event.target;
  if (!field.dataset.preview) return;
  const place = document.getElementById(field.dataset.preview);
  place.replaceChildren(
    ...[...field.files].slice(0, 4).map((file) => {
      const picture = new Image();
      picture.alt = "";
      picture.src = URL.createObjectURL(file);
      picture.onload = () => URL.revokeObjectURL(picture.src);
      return picture;
    }),
  );
});
