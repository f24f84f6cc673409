// Lets users see the new password that they type.

/** Add a button to each field below `root` that may show its password. */
export function enablePasswordFields(root) {
  for (const container of root.querySelectorAll("[data-password]")) {
    const input = container.querySelector("input");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button small quiet";
    button.textContent = container.dataset.show;
    button.addEventListener("click", () => {
      const isShown = input.type === "text";
      input.type = isShown ? "password" : "text";
      button.textContent = isShown ? container.dataset.show : container.dataset.hide;
    });
    // Browsers save a new password only from a field that hides it
    input.form.addEventListener("submit", () => {
      input.type = "password";
    });
    container.append(button);
  }
}
