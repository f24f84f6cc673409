// Previews a picture before it is uploaded, and makes large ones smaller.

const MAX_PIXELS = 512;
const JPEG = "image/jpeg";

/** Return the picture with at most MAX_PIXELS in each direction; the same file if it is small enough. */
async function shrunk(file, image) {
  const scale = MAX_PIXELS / Math.max(image.width, image.height);
  if (scale >= 1) return file;
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.width * scale));
  canvas.height = Math.max(1, Math.round(image.height * scale));
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  const type = file.type === JPEG ? JPEG : "image/png";
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, type, 0.9));
  const name = file.name.replace(/\.\w+$/, "") + (type === JPEG ? ".jpg" : ".png");
  return blob ? new File([blob], name, { type }) : file;
}

/** Show the chosen picture in place of the current one; the form then submits the smaller version. */
async function preview(input) {
  const [file] = input.files;
  if (!file) return;
  let image;
  try {
    image = await createImageBitmap(file);
  } catch {
    return; // no picture: the server says so
  }
  const smaller = await shrunk(file, image);
  if (smaller !== file) {
    const transfer = new DataTransfer();
    transfer.items.add(smaller);
    input.files = transfer.files;
  }
  const element = document.createElement("img");
  element.className = "avatar large";
  element.alt = "";
  element.src = URL.createObjectURL(smaller);
  element.addEventListener("load", () => URL.revokeObjectURL(element.src), { once: true });
  document.querySelector("[data-picture]").replaceChildren(element);
}

const input = document.querySelector("[data-picture-form] input[type=file]");
input?.addEventListener("change", () => preview(input));
