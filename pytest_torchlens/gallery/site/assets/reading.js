"use strict";
/* Reading the data of a model, which may lack anything: what comes out has every field. */

{
  /** A model with every field, whatever the data lacks. */
  lens.readModel = (raw) => {
    const given = lens.record(raw);
    const made = {
      title: lens.text(given.title) || document.title,
      model: lens.text(given.model),
      test: lens.text(given.test),
      number: lens.number(given.number) || 1,
      reason: lens.text(given.reason),
      facets: lens.facets(given.facets),
      ops: lens.number(given.ops),
      total: lens.number(given.layers_total),
      parameters: lens.number(given.parameters),
      device: lens.text(given.device),
      seconds: lens.number(given.seconds),
      structure: lens.text(given.structure),
      changes: lens.list(given.changes).map(lens.record),
      omitted: lens.number(given.omitted),
      pictures: lens.list(given.pictures).map(pictureFrom),
      sources: lens
        .list(given.sources)
        .map((one) => ({ place: lens.text(lens.record(one).place), code: lens.text(lens.record(one).code) })),
      layers: layersFrom(lens.list(given.layers)),
    };
    made.modules = modulesFrom(lens.list(given.modules), made.pictures);
    const layers = new Map(made.layers.map((layer) => [layer.label, layer]));
    const inside = Map.groupBy(made.layers, (layer) => layer.module);
    made.layer = (label) => layers.get(label) || layers.get(lens.withoutPass(label));
    made.layersOf = (address) => inside.get(address) || [];
    return made;
  };

  function pictureFrom(raw) {
    const given = lens.record(raw);
    return {
      name: lens.text(given.name) || "picture",
      isModule: given.kind === "module",
      module: lens.text(given.module),
      depth: Number.isFinite(given.depth) ? given.depth : Infinity,
      isRolled: given.rolled !== false,
      boxes: lens.number(given.boxes),
      file: lens.link(given.file),
      notes: lens.list(given.notes).map(lens.text).filter(Boolean),
    };
  }

  /** Layers, each once: one that has several boxes comes several times, with what each box reads. */
  function layersFrom(list) {
    const found = new Map();
    for (const layer of list.map(layerFrom)) {
      const known = found.get(layer.label);
      if (known) {
        known.reads = [...new Set([...known.reads, ...layer.reads])];
        known.readBy = [...new Set([...known.readBy, ...layer.readBy])];
      } else if (layer.label) found.set(layer.label, layer);
    }
    return [...found.values()];
  }

  function layerFrom(raw) {
    const given = lens.record(raw);
    return {
      label: lens.text(given.label),
      name: lens.text(given.name),
      category: lens.text(given.category) || "other",
      module: lens.text(given.module),
      arguments: lens.text(given.arguments),
      shape: lens.text(given.shape),
      dtype: lens.text(given.dtype),
      parameters: lens.number(given.parameters),
      passes: lens.number(given.passes) || 1,
      sources: lens.list(given.sources),
      reads: lens.list(given.reads).map(lens.text),
      readBy: lens.list(given.read_by).map(lens.text),
      statistics: given.statistics ? lens.record(given.statistics) : null,
    };
  }

  /** Modules by address, each with its parent, its children and the module whose picture shows its inside, if any. */
  function modulesFrom(list, pictures) {
    const found = new Map();
    const own = new Map();
    pictures.forEach((one, place) => one.isModule && one.isRolled && own.set(one.module, place));
    for (const raw of list) {
      const given = lens.record(raw);
      const address = lens.text(given.address);
      if (!address) continue;
      found.set(address, {
        address,
        className: lens.text(given.class),
        parameters: lens.number(given.parameters),
        passes: lens.number(given.passes) || 1,
        shape: lens.text(given.shape),
        picture: own.has(address) ? own.get(address) : null,
        children: [],
      });
    }
    for (const module of found.values()) {
      module.parent = around(module.address, found);
      module.name = module.parent ? module.address.slice(module.parent.address.length + 1) : module.address;
      module.pictured = module.picture === null ? null : module;
      if (module.parent) module.parent.children.push(module);
    }
    return found;
  }

  function around(address, modules) {
    for (let end = address.lastIndexOf("."); end > 0; end = address.lastIndexOf(".", end - 1)) {
      const found = modules.get(address.slice(0, end));
      if (found) return found;
    }
    return null;
  }

  /** The label of a layer, from that of one of its passes: relu_1_2:3 is relu_1_2. */
  lens.withoutPass = (label) => label.replace(/:\d+$/, "");
}
