// Painting a mask over a picture: the painted part will be redrawn. The mask has the picture's size in pixels.

class Painter {
  constructor(root, data, tell) {
    this.root = root;
    this.canvas = root.querySelector("canvas");
    this.canvas.width = data.width;
    this.canvas.height = data.height;
    root.querySelector("img").src = data.src;
    root.querySelector("img").style.aspectRatio = `${data.width} / ${data.height}`;
    this.pen = this.canvas.getContext("2d");
    this.tell = tell;
    this.last = null;
    this.canvas.onpointerdown = (event) => this.begin(event);
    this.canvas.onpointermove = (event) => this.last && this.stroke(event);
    this.canvas.onpointerup = () => this.end();
    this.canvas.onpointercancel = () => this.end();
    root.querySelector(".clear").onclick = () => {
      this.pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
      this.send();
    };
  }

  place(event) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    return [((event.clientX - left) / width) * this.canvas.width, ((event.clientY - top) / height) * this.canvas.height];
  }

  begin(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.last = this.place(event);
    this.stroke(event);
  }

  stroke(event) {
    const here = this.place(event);
    const { pen } = this;
    pen.globalCompositeOperation = this.root.querySelector(".rub").checked ? "destination-out" : "source-over";
    pen.strokeStyle = "#e0218a"; // visible on light and dark pictures; sent as white
    pen.lineCap = "round";
    pen.lineJoin = "round";
    pen.lineWidth = (this.root.querySelector(".size").value / 100) * Math.min(this.canvas.width, this.canvas.height);
    pen.beginPath();
    pen.moveTo(...this.last);
    pen.lineTo(...here);
    pen.stroke();
    this.last = here;
  }

  end() {
    if (!this.last) return;
    this.last = null;
    this.send();
  }

  // Report the mask as a data URL of a PNG, white on black.
  send() {
    const whole = document.createElement("canvas");
    [whole.width, whole.height] = [this.canvas.width, this.canvas.height];
    const pen = whole.getContext("2d");
    pen.drawImage(this.canvas, 0, 0);
    pen.globalCompositeOperation = "source-in";
    pen.fillStyle = "#ffffff";
    pen.fillRect(0, 0, whole.width, whole.height);
    pen.globalCompositeOperation = "destination-over";
    pen.fillStyle = "#000000";
    pen.fillRect(0, 0, whole.width, whole.height);
    this.tell(whole.toDataURL("image/png"));
  }
}

const painters = new WeakMap();

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".mask");
  if (!painters.has(root)) painters.set(root, new Painter(root, data, (url) => setStateValue("mask", url)));
}
