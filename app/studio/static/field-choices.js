// The fields of a permission: single ones can be checked only while "Only these fields" is chosen.

const container = document.querySelector("[data-fields]");

if (container) {
  const named = container.dataset.named.split(" ");
  const radios = container.closest("fieldset").querySelectorAll("input[type=radio]");

  function update() {
    const isEvery = [...radios].some((radio) => radio.checked && radio.value !== "");
    for (const box of container.querySelectorAll("input")) box.disabled = isEvery && !named.includes(box.value);
  }

  // Who checks a single field has decided, unless "All fields" does not include it
  container.addEventListener("change", () => {
    if (![...radios].some((radio) => radio.checked)) {
      for (const radio of radios) radio.checked = radio.value === "";
    }
    update();
  });
  for (const radio of radios) radio.addEventListener("change", update);
  update();
}
