// Shows a three-dimensional model (GLB) that can be turned: enough for what Stellwerk makes, with
// colours and textures but without lights of its own. A whole 3D library would be a megabyte.
"use strict";

(() => {
  const FLOAT = 5126;
  const SIZES = { 5120: Int8Array, 5121: Uint8Array, 5122: Int16Array, 5123: Uint16Array, 5125: Uint32Array, 5126: Float32Array };
  const COUNTS = { SCALAR: 1, VEC2: 2, VEC3: 3, VEC4: 4, MAT4: 16 };
  const VERTEX = `#version 300 es
    in vec3 place; in vec4 colour; in vec2 spot;
    uniform mat4 view; uniform mat4 model;
    out vec3 world; out vec4 tint; out vec2 at;
    void main() { vec4 p = model * vec4(place, 1.0); world = (view * p).xyz; tint = colour; at = spot;
      vec3 e = world; gl_Position = vec4(e.x * 1.7 * ASPECT, e.y * 1.7, -e.z * 1.02 - 0.2, -e.z); }`;
  const FRAGMENT = `#version 300 es
    precision highp float;
    in vec3 world; in vec4 tint; in vec2 at; uniform vec4 base; uniform sampler2D skin; out vec4 result;
    void main() { vec3 n = normalize(cross(dFdx(world), dFdy(world)));
      float light = 0.68 + 0.4 * max(dot(n, normalize(vec3(0.4, 0.8, 0.6))), 0.0) + 0.12 * max(-n.x, 0.0);
      vec4 c = base * tint * texture(skin, at);
      result = vec4(pow(c.rgb, vec3(0.4545)) * light, 1.0); }`;

  function parse(buffer) {
    const view = new DataView(buffer);
    const length = view.getUint32(12, true);
    const json = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 20, length)));
    return { json, start: 20 + length + 8, buffer };
  }

  // Numbers of an accessor as a tight array; whole numbers that stand for 0 to 1 become those.
  function numbers({ json, start, buffer }, index) {
    const accessor = json.accessors[index];
    const part = json.bufferViews[accessor.bufferView];
    const kind = SIZES[accessor.componentType];
    const count = COUNTS[accessor.type];
    const from = start + (part.byteOffset || 0) + (accessor.byteOffset || 0);
    const stride = part.byteStride || count * kind.BYTES_PER_ELEMENT;
    const found = new kind(accessor.count * count);
    for (let i = 0; i < accessor.count; i++) {
      const bytes = buffer.slice(from + i * stride, from + i * stride + count * kind.BYTES_PER_ELEMENT);
      found.set(new kind(bytes), i * count);
    }
    if (!accessor.normalized || accessor.componentType === FLOAT) return found;
    const most = accessor.componentType === 5121 ? 255 : 65535;
    return Float32Array.from(found, (value) => value / most);
  }

  function times(a, b) {
    const out = new Float32Array(16);
    for (let c = 0; c < 4; c++) for (let r = 0; r < 4; r++) {
      for (let k = 0; k < 4; k++) out[c * 4 + r] += a[k * 4 + r] * b[c * 4 + k];
    }
    return out;
  }

  function matrixOf(node) {
    if (node.matrix) return new Float32Array(node.matrix);
    const [x, y, z, w] = node.rotation || [0, 0, 0, 1];
    const [a, b, c] = node.scale || [1, 1, 1];
    const [tx, ty, tz] = node.translation || [0, 0, 0];
    return new Float32Array([
      (1 - 2 * (y * y + z * z)) * a, 2 * (x * y + z * w) * a, 2 * (x * z - y * w) * a, 0,
      2 * (x * y - z * w) * b, (1 - 2 * (x * x + z * z)) * b, 2 * (y * z + x * w) * b, 0,
      2 * (x * z + y * w) * c, 2 * (y * z - x * w) * c, (1 - 2 * (x * x + y * y)) * c, 0,
      tx, ty, tz, 1]);
  }

  function meshes(model) {
    const { json } = model;
    const found = [];
    const one = new Float32Array([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]);
    const visit = (index, above) => {
      const node = json.nodes[index];
      const matrix = times(above, matrixOf(node));
      if (node.mesh !== undefined) {
        for (const part of json.meshes[node.mesh].primitives) found.push({ part, matrix });
      }
      for (const child of node.children || []) visit(child, matrix);
    };
    for (const root of json.scenes[json.scene || 0].nodes) visit(root, one);
    return found;
  }

  function compile(gl, aspect) {
    const program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX.replace("ASPECT", aspect.toFixed(4))], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    gl.useProgram(program);
    return program;
  }

  async function skinOf(gl, model, material) {
    const texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 1, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array([255, 255, 255, 255]));
    const wanted = material.pbrMetallicRoughness?.baseColorTexture;
    if (!wanted) return texture;
    const image = model.json.images[model.json.textures[wanted.index].source];
    if (image.bufferView === undefined) return texture;
    const part = model.json.bufferViews[image.bufferView];
    const bytes = new Uint8Array(model.buffer, model.start + (part.byteOffset || 0), part.byteLength);
    const picture = await createImageBitmap(new Blob([bytes], { type: image.mimeType }));
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.SRGB8_ALPHA8, gl.RGBA, gl.UNSIGNED_BYTE, picture);
    gl.generateMipmap(gl.TEXTURE_2D);
    return texture;
  }

  async function upload(gl, program, model, { part, matrix }, box) {
    const vertices = gl.createVertexArray();
    gl.bindVertexArray(vertices);
    const feed = (name, values, size) => {
      const at = gl.getAttribLocation(program, name);
      if (at < 0) return;
      gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
      gl.bufferData(gl.ARRAY_BUFFER, Float32Array.from(values), gl.STATIC_DRAW);
      gl.enableVertexAttribArray(at);
      gl.vertexAttribPointer(at, size, gl.FLOAT, false, 0, 0);
    };
    const places = numbers(model, part.attributes.POSITION);
    for (let i = 0; i < places.length; i += 3) {
      for (let r = 0; r < 3; r++) {
        const v = matrix[r] * places[i] + matrix[4 + r] * places[i + 1] + matrix[8 + r] * places[i + 2] + matrix[12 + r];
        box.low[r] = Math.min(box.low[r], v);
        box.high[r] = Math.max(box.high[r], v);
      }
    }
    feed("place", places, 3);
    const colours = part.attributes.COLOR_0;
    const colourAt = gl.getAttribLocation(program, "colour");
    if (colours === undefined) gl.vertexAttrib4f(colourAt, 1, 1, 1, 1);
    else feed("colour", numbers(model, colours), COUNTS[model.json.accessors[colours].type]);
    if (part.attributes.TEXCOORD_0 !== undefined) feed("spot", numbers(model, part.attributes.TEXCOORD_0), 2);
    let count = places.length / 3;
    if (part.indices !== undefined) {
      const indices = Uint32Array.from(numbers(model, part.indices));
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
      gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, indices, gl.STATIC_DRAW);
      count = indices.length;
    }
    gl.bindVertexArray(null);
    const material = (model.json.materials || [])[part.material] || {};
    const base = material.pbrMetallicRoughness?.baseColorFactor || [1, 1, 1, 1];
    const skin = await skinOf(gl, model, material);
    return { vertices, count, indexed: part.indices !== undefined, matrix, base, skin, plain: colours === undefined };
  }

  async function open(canvas) {
    const gl = canvas.getContext("webgl2", { antialias: true, preserveDrawingBuffer: true });
    if (!gl) throw new Error("no WebGL");
    const answer = await fetch(canvas.dataset.model);
    if (!answer.ok) throw new Error("no model");
    const model = parse(await answer.arrayBuffer());
    const program = compile(gl, canvas.height / canvas.width);
    const box = { low: [Infinity, Infinity, Infinity], high: [-Infinity, -Infinity, -Infinity] };
    const parts = await Promise.all(meshes(model).map((mesh) => upload(gl, program, model, mesh, box)));
    return turnable(canvas, gl, program, parts, box);
  }

  function turnable(canvas, gl, program, parts, box) {
    const middle = box.low.map((low, i) => (low + box.high[i]) / 2);
    const extent = Math.hypot(...box.low.map((low, i) => box.high[i] - low)) || 1;
    let turn = 0.6;
    let tilt = 0.35;
    const at = (name) => gl.getUniformLocation(program, name);

    function draw() {
      const s = 4 / extent;
      const [cy, sy, cx, sx] = [Math.cos(turn), Math.sin(turn), Math.cos(tilt), Math.sin(tilt)];
      const spin = new Float32Array([cy * s, sx * sy * s, -cx * sy * s, 0, 0, cx * s, sx * s, 0, sy * s, -sx * cy * s, cx * cy * s, 0, 0, 0, 0, 1]);
      const move = new Float32Array([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, -middle[0], -middle[1], -middle[2], 1]);
      const view = times(spin, move);
      view[14] -= 3;
      gl.viewport(0, 0, canvas.width, canvas.height);
      gl.enable(gl.DEPTH_TEST);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
      gl.uniformMatrix4fv(at("view"), false, view);
      for (const part of parts) {
        gl.bindVertexArray(part.vertices);
        if (part.plain) gl.vertexAttrib4f(gl.getAttribLocation(program, "colour"), 1, 1, 1, 1);
        gl.uniformMatrix4fv(at("model"), false, part.matrix);
        gl.uniform4fv(at("base"), part.base);
        gl.bindTexture(gl.TEXTURE_2D, part.skin);
        if (part.indexed) gl.drawElements(gl.TRIANGLES, part.count, gl.UNSIGNED_INT, 0);
        else gl.drawArrays(gl.TRIANGLES, 0, part.count);
      }
    }

    function by(right, down) {
      turn += right;
      tilt = Math.max(-1.4, Math.min(1.4, tilt + down));
      requestAnimationFrame(draw);
    }
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("pointermove", (event) => {
      if (canvas.hasPointerCapture(event.pointerId)) by(event.movementX / 120, event.movementY / 160);
    });
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-0.2, 0], ArrowRight: [0.2, 0], ArrowUp: [0, -0.15], ArrowDown: [0, 0.15] }[event.key];
      if (!step) return;
      event.preventDefault();
      by(...step);
    });
    draw();
  }

  function openAll() {
    for (const canvas of document.querySelectorAll("canvas[data-model]")) {
      if (canvas.dataset.state) continue;
      canvas.dataset.state = "opening";
      open(canvas).then(() => { canvas.dataset.state = "open"; }, () => {
        canvas.dataset.state = "failed";
        canvas.hidden = true;
        const words = canvas.parentElement.querySelector("[data-model-fallback]");
        if (words) words.hidden = false;
      });
    }
  }

  document.addEventListener("stellwerk:drawn", openAll);
  openAll();
})();
