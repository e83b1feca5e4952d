"""A grammar of student submissions for the butterfly assignment.

`<name>` is replaced by one of the productions of `name`; `<!name>` by one that this student keeps
to everywhere (habits); `<lo..hi>` by a number; `{word}` by what this student calls a thing. A
production may hold several lines; its indentation is added to each of them.
"""

from __future__ import annotations

# What a thing is called: each student draws one word for each.
NAMES: dict[str, tuple[str, ...]] = {
    "net": ("model", "net", "network", "resnet", "clf", "cnn"),
    "dev": ("device", "dev", "DEVICE", "cuda_device"),
    "loader": ("loader", "train_loader", "dl", "batches", "dataloader"),
    "img": ("images", "imgs", "x", "inputs", "batch_x", "data"),
    "lab": ("labels", "y", "targets", "target", "batch_y"),
    "out": ("outputs", "logits", "pred", "scores", "out"),
    "loss": ("loss", "l", "batch_loss", "ce"),
    "opt": ("optimizer", "optim", "opt", "sgd"),
    "crit": ("criterion", "loss_fn", "ce_loss", "objective"),
    "sched": ("scheduler", "sched", "lr_scheduler"),
    "mask": ("mask", "seg", "m", "segmentation", "fg"),
    "grad": ("grad", "saliency", "g", "sal", "heat"),
    "root": ("root", "data_dir", "folder", "path", "img_dir"),
    "files": ("files", "paths", "names", "image_list", "samples"),
    "n": ("n", "num_blocks", "blocks", "depth_n"),
    "k": ("num_classes", "classes", "n_classes", "nc"),
    "Block": ("BasicBlock", "ResBlock", "ResidualBlock", "Block", "Unit"),
    "Net": ("ResNet", "ResNet14", "MyResNet", "Network", "ButterflyNet"),
    "Data": ("ButterflyDataset", "ImageFolderDataset", "Butterflies", "TrainSet", "SpeciesData"),
    "epochs": ("epochs", "num_epochs", "n_epochs", "max_epoch"),
    "acc": ("acc", "accuracy", "correct", "hits"),
    "h": ("h", "out", "z", "y", "t", "feat"),
    "args": ("args", "opts", "cfg", "params", "a"),
}

GRAMMAR: dict[str, tuple[str, ...]] = {
    # ------------------------------------------------------------------ files
    "model_file": (
        "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n\n<block>\n\n"
        "<resnet>\n\n<init_weights>\n",
        "import torch\nfrom torch import nn\nimport torch.nn.functional as F\n\n<init_weights>\n\n"
        "<block>\n\n<resnet>\n",
    ),
    "data_file": (
        "import os\nimport random\nimport numpy as np\nimport torch\nfrom PIL import Image\n"
        "from torch.utils.data import Dataset, DataLoader\nfrom torchvision import transforms\n\n"
        "<dataset>\n\n<augmentation>\n\n<split>\n",
    ),
    "train_file": (
        "import argparse\nimport os\nimport sys\nimport time\nimport numpy as np\nimport torch\n"
        "import torch.nn as nn\nfrom model import {Net}\nfrom data import {Data}\n\n<seeding>\n\n"
        "<epoch>\n\n<validate>\n\n<train_main>\n",
    ),
    "evaluate_file": (
        "import csv\nimport os\nimport sys\nimport cv2\nimport numpy as np\nimport torch\n"
        "import torch.nn.functional as F\nfrom PIL import Image\nfrom model import {Net}\n\n"
        "<saliency>\n\n<to_mask>\n\n<write_csv>\n\n<evaluate_main>\n",
    ),
    # ------------------------------------------------------------------ network
    "block": (
        "class {Block}(nn.Module):\n"
        "    def __init__(self, cin, cout, stride=1):\n"
        "        super().__init__()\n"
        "        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=<bool>)\n"
        "        self.bn1 = <norm>(cout)\n"
        "        self.conv2 = nn.Conv2d(cout, cout, kernel_size=3, padding=1, bias=<bool>)\n"
        "        self.bn2 = <norm>(cout)\n"
        "        <shortcut_init>\n\n"
        "    def forward(self, x):\n"
        "        {h} = <act>(self.bn1(self.conv1(x)))\n"
        "        {h} = self.bn2(self.conv2({h}))\n"
        "        <shortcut_use>\n",
        "class {Block}(nn.Module):\n"
        "    def __init__(self, in_ch, out_ch, down=False):\n"
        "        super({Block}, self).__init__()\n"
        "        s = 2 if down else 1\n"
        "        self.body = nn.Sequential(\n"
        "            nn.Conv2d(in_ch, out_ch, 3, stride=s, padding=1, bias=<bool>),\n"
        "            <norm>(out_ch),\n"
        "            <act_module>,\n"
        "            nn.Conv2d(out_ch, out_ch, 3, stride=1, padding=1, bias=<bool>),\n"
        "            <norm>(out_ch),\n"
        "        )\n"
        "        self.skip = nn.Identity()\n"
        "        if down or in_ch != out_ch:\n"
        "            self.skip = nn.Sequential(nn.Conv2d(in_ch, out_ch, 1, s), <norm>(out_ch))\n\n"
        "    def forward(self, x):\n"
        "        return <act>(self.body(x) + self.skip(x))\n",
        "def conv_bn(i, o, s=1, k=3):\n"
        "    layers = [nn.Conv2d(i, o, k, s, k // 2, bias=<bool>), <norm>(o)]\n"
        "    return nn.Sequential(*layers)\n\n\n"
        "class {Block}(nn.Module):\n"
        "    expansion = 1\n\n"
        "    def __init__(self, i, o, s):\n"
        "        super().__init__()\n"
        "        self.a = conv_bn(i, o, s)\n"
        "        self.b = conv_bn(o, o)\n"
        "        self.pad = o - i\n"
        "        self.s = s\n\n"
        "    def forward(self, x):\n"
        "        r = x\n"
        "        if self.pad > 0:\n"
        "            r = F.pad(x[:, :, ::self.s, ::self.s], (0, 0, 0, 0, 0, self.pad))\n"
        "        {h} = self.a(x)\n"
        "        {h} = <act>({h})\n"
        "        {h} = self.b({h})\n"
        "        {h} += r\n"
        "        return <act>({h})\n",
    ),
    "shortcut_init": (
        "self.shortcut = nn.Sequential()\n"
        "if stride != 1 or cin != cout:\n"
        "    self.shortcut = nn.Sequential(\n"
        "        nn.Conv2d(cin, cout, 1, stride=stride, bias=<bool>), <norm>(cout)\n"
        "    )",
        "self.proj = None\n"
        "if stride > 1:\n"
        "    self.proj = nn.Conv2d(cin, cout, kernel_size=1, stride=stride)",
        "self.need_pad = cin != cout\nself.stride = stride\nself.extra = cout - cin",
    ),
    "shortcut_use": (
        "s = self.shortcut(x) if hasattr(self, 'shortcut') else x\nreturn <act>({h} + s)",
        "{h} = {h} + (x if getattr(self, 'proj', None) is None else self.proj(x))\n"
        "return <act>({h})",
        "identity = x\n"
        "if getattr(self, 'need_pad', False):\n"
        "    identity = F.pad(identity[..., ::2, ::2], (0, 0, 0, 0, 0, self.extra))\n"
        "{h} = torch.add({h}, identity)\nreturn <act>({h})",
    ),
    "norm": ("nn.BatchNorm2d",),
    "bool": ("False", "False", "True"),
    "act": ("<!act_style>",),
    "act_style": ("F.relu", "torch.relu", "nn.functional.relu", "F.leaky_relu"),
    "act_module": ("nn.ReLU(inplace=True)", "nn.ReLU()", "nn.LeakyReLU(0.<1..2>)"),
    "resnet": (
        "class {Net}(nn.Module):\n"
        "    def __init__(self, {n}=2, {k}=100):\n"
        "        super().__init__()\n"
        "        self.stem = nn.Sequential(nn.Conv2d(3, 32, 3, 1, 1), <norm>(32))\n"
        "        stages, c = [], 32\n"
        "        for w in (32, 64, 128):\n"
        "            for i in range({n}):\n"
        "                stages.append({Block}(c, w, <stride>))\n"
        "                c = w\n"
        "        self.stages = nn.Sequential(*stages)\n"
        "        self.fc = nn.Linear(c, {k})\n\n"
        "    def forward(self, x):\n"
        "        {h} = <act>(self.stem(x))\n"
        "        {h} = self.stages({h})\n"
        "        {h} = <pool>\n"
        "        return self.fc({h})\n",
        "class {Net}(nn.Module):\n"
        "    def __init__(self, {k}, {n}=2):\n"
        "        super({Net}, self).__init__()\n"
        "        self.inplanes = 32\n"
        "        self.conv1 = nn.Conv2d(3, 32, kernel_size=3, padding=1, bias=<bool>)\n"
        "        self.bn1 = <norm>(32)\n"
        "        self.layer1 = self._make_layer(32, {n}, 1)\n"
        "        self.layer2 = self._make_layer(64, {n}, 2)\n"
        "        self.layer3 = self._make_layer(128, {n}, 2)\n"
        "        self.drop = nn.Dropout(0.<1..5>)\n"
        "        self.linear = nn.Linear(128, {k})\n\n"
        "    def _make_layer(self, planes, count, stride):\n"
        "        layers = []\n"
        "        for i in range(count):\n"
        "            layers.append({Block}(self.inplanes, planes, stride if i == 0 else 1))\n"
        "            self.inplanes = planes\n"
        "        return nn.Sequential(*layers)\n\n"
        "    def forward(self, x):\n"
        "        {h} = <act>(self.bn1(self.conv1(x)))\n"
        "        for layer in (self.layer1, self.layer2, self.layer3):\n"
        "            {h} = layer({h})\n"
        "        {h} = <pool>\n"
        "        {h} = self.drop({h})\n"
        "        return self.linear({h})\n",
        "class {Net}(nn.Module):\n"
        "    def __init__(self, {n}, {k}, width=32):\n"
        "        nn.Module.__init__(self)\n"
        "        w = [width * 2 ** i for i in range(3)]\n"
        "        self.first = nn.Conv2d(3, w[0], 3, padding='same')\n"
        "        self.first_norm = <norm>(w[0])\n"
        "        blocks = nn.ModuleList()\n"
        "        previous = w[0]\n"
        "        for stage, size in enumerate(w):\n"
        "            for b in range({n}):\n"
        "                first = stage > 0 and b == 0\n"
        "                blocks.append({Block}(previous, size, 2 if first else 1))\n"
        "                previous = size\n"
        "        self.blocks = blocks\n"
        "        self.head = nn.Linear(previous, {k})\n"
        "        self.apply(init_weights)\n\n"
        "    def features(self, x):\n"
        "        {h} = <act>(self.first_norm(self.first(x)))\n"
        "        for block in self.blocks:\n"
        "            {h} = block({h})\n"
        "        return {h}\n\n"
        "    def forward(self, x):\n"
        "        {h} = self.features(x)\n"
        "        {h} = <pool>\n"
        "        return self.head({h})\n",
    ),
    "stride": ("2 if i == 0 and w > 32 else 1", "1 + int(c != w)", "2 if c != w else 1"),
    "pool": (
        "{h}.mean(dim=(2, 3))",
        "F.adaptive_avg_pool2d({h}, 1).flatten(1)",
        "torch.flatten(F.avg_pool2d({h}, {h}.shape[-1]), 1)",
        "F.adaptive_avg_pool2d({h}, (1, 1)).view({h}.size(0), -1)",
        "{h}.flatten(2).mean(-1)",
    ),
    "init_weights": (
        "def init_weights(m):\n"
        "    if isinstance(m, nn.Conv2d):\n"
        "        nn.init.kaiming_normal_(m.weight, mode='<fan>', nonlinearity='relu')\n"
        "    elif isinstance(m, nn.Linear):\n"
        "        nn.init.normal_(m.weight, 0, 0.0<1..9>)\n"
        "        nn.init.zeros_(m.bias)\n",
        "def init_weights(m):\n"
        "    if type(m) in (nn.Linear, nn.Conv2d):\n"
        "        nn.init.xavier_uniform_(m.weight, gain=<1..3>)\n"
        "        if m.bias is not None:\n"
        "            m.bias.data.fill_(0.0<1..5>)\n",
        "def init_weights(m):\n"
        "    name = m.__class__.__name__\n"
        "    if 'BatchNorm' in name:\n"
        "        nn.init.constant_(m.weight, 1)\n"
        "        nn.init.constant_(m.bias, 0)\n"
        "    elif 'Conv' in name:\n"
        "        std = (2 / (m.kernel_size[0] ** 2 * m.out_channels)) ** 0.5\n"
        "        m.weight.data.normal_(0, std)\n",
    ),
    "fan": ("fan_in", "fan_out"),
    # ------------------------------------------------------------------ data
    "dataset": (
        "class {Data}(Dataset):\n"
        "    def __init__(self, {root}, transform=None):\n"
        "        self.{root} = {root}\n"
        "        self.transform = transform\n"
        "        self.class_names = sorted(<listdir>)\n"
        "        self.{files} = []\n"
        "        for idx, name in enumerate(self.class_names):\n"
        "            d = os.path.join({root}, name)\n"
        "            for f in sorted(os.listdir(d)):\n"
        "                self.{files}.append((os.path.join(d, f), idx))\n\n"
        "    def __len__(self):\n"
        "        return len(self.{files})\n\n"
        "    def __getitem__(self, i):\n"
        "        p, label = self.{files}[i]\n"
        "        image = Image.open(p).convert('RGB')\n"
        "        if self.transform is not None:\n"
        "            image = self.transform(image)\n"
        "        return image, label\n",
        "class {Data}(torch.utils.data.Dataset):\n"
        "    def __init__(self, {root}, size=<128..224>, train=True):\n"
        "        super().__init__()\n"
        "        self.train, self.size = train, size\n"
        "        self.x, self.y = [], []\n"
        "        self.names = [e.name for e in os.scandir({root}) if e.is_dir()]\n"
        "        self.names.sort()\n"
        "        self.lookup = {{c: i for i, c in enumerate(self.names)}}\n"
        "        for c in self.names:\n"
        "            for f in os.listdir(f'{{{root}}}/{{c}}'):\n"
        "                if f.lower().endswith(('.jpg', '.png', '.webp')):\n"
        "                    self.x.append(f'{{{root}}}/{{c}}/{{f}}')\n"
        "                    self.y.append(self.lookup[c])\n"
        "        self.y = np.array(self.y, dtype=np.int64)\n\n"
        "    def __getitem__(self, index):\n"
        "        im = Image.open(self.x[index]).convert('RGB').resize((self.size, self.size))\n"
        "        arr = np.asarray(im, dtype=np.float32) / 255\n"
        "        if self.train and random.random() < 0.5:\n"
        "            arr = arr[:, ::-1].copy()\n"
        "        arr = (arr - np.array([0.<41..49>, 0.<41..49>, 0.<35..41>])) / 0.<21..29>\n"
        "        return torch.from_numpy(arr).permute(2, 0, 1).float(), int(self.y[index])\n\n"
        "    def __len__(self):\n"
        "        return self.y.shape[0]\n",
    ),
    "listdir": (
        "os.listdir({root})",
        "d for d in os.listdir({root}) if os.path.isdir(os.path.join({root}, d))",
        "entry.name for entry in os.scandir({root}) if entry.is_dir()",
    ),
    "augmentation": (
        "def get_transforms(train=True, size=<128..256>):\n"
        "    steps = [transforms.Resize((size, size))]\n"
        "    if train:\n"
        "        <augment>\n"
        "        <augment>\n"
        "        <augment>\n"
        "    steps += [transforms.ToTensor(), transforms.Normalize(<mean_std>)]\n"
        "    return transforms.Compose(steps)\n",
        "train_tf = transforms.Compose([\n"
        "    transforms.RandomResizedCrop(<160..224>, scale=(0.<4..8>, 1.0)),\n"
        "    transforms.RandomHorizontalFlip(),\n"
        "    transforms.ColorJitter(0.<1..4>, 0.<1..4>, 0.<1..4>),\n"
        "    transforms.ToTensor(),\n"
        "    transforms.Normalize(<mean_std>),\n"
        "])\n"
        "test_tf = transforms.Compose([\n"
        "    transforms.Resize(<224..256>), transforms.CenterCrop(224), transforms.ToTensor(),\n"
        "    transforms.Normalize(<mean_std>),\n"
        "])\n",
    ),
    "augment": (
        "steps.append(transforms.RandomHorizontalFlip(p=0.<3..6>))",
        "steps.append(transforms.RandomRotation(<5..40>))",
        "steps.insert(0, transforms.RandomResizedCrop(size, scale=(0.<3..9>, 1.0)))",
        "steps.append(transforms.ColorJitter(brightness=0.<1..4>, hue=0.<01..09>))",
        "steps.append(transforms.RandomAffine(<5..20>, translate=(0.<1..2>, 0.<1..2>)))",
        "steps.append(transforms.RandAugment(<1..3>, <5..12>))",
        "steps.append(transforms.GaussianBlur(<3..3>, sigma=(0.1, <1..3>)))",
    ),
    "mean_std": (
        "[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]",
        "(0.5, 0.5, 0.5), (0.5, 0.5, 0.5)",
        "mean=(0.4<61..89>, 0.4<41..69>, 0.3<31..59>), std=(0.2<41..79>, 0.2<41..79>, 0.2<41..79>)",
    ),
    "split": (
        "def split(dataset, share=0.<1..3>, seed=<0..99>):\n"
        "    order = np.random.RandomState(seed).permutation(len(dataset))\n"
        "    cut = int(len(order) * share)\n"
        "    val = torch.utils.data.Subset(dataset, order[:cut].tolist())\n"
        "    train = torch.utils.data.Subset(dataset, order[cut:].tolist())\n"
        "    return train, val\n",
        "def make_loaders(ds, bs=<16..128>, workers=<2..8>):\n"
        "    n_val = len(ds) // <8..12>\n"
        "    parts = torch.utils.data.random_split(ds, [len(ds) - n_val, n_val])\n"
        "    return [DataLoader(p, bs, shuffle=i == 0, num_workers=workers) "
        "for i, p in enumerate(parts)]\n",
        "def per_class_split(labels, every=<5..12>):\n"
        "    seen, tr, va = {{}}, [], []\n"
        "    for i, c in enumerate(labels):\n"
        "        seen[c] = seen.get(c, 0) + 1\n"
        "        (va if seen[c] % every == 0 else tr).append(i)\n"
        "    random.shuffle(tr)\n"
        "    return tr, va\n",
    ),
    # ------------------------------------------------------------------ training
    "seeding": (
        "def set_seed(seed=<0..9999>):\n"
        "    np.random.seed(seed)\n"
        "    torch.manual_seed(seed)\n"
        "    <cudnn>\n",
        "torch.manual_seed(<0..9999>)\nnp.random.seed(<0..9999>)\n",
        "SEED = <0..9999>\n\n\ndef seed_everything(s):\n"
        "    os.environ['PYTHONHASHSEED'] = str(s)\n"
        "    for f in (np.random.seed, torch.manual_seed, torch.cuda.manual_seed_all):\n"
        "        f(s)\n",
    ),
    "cudnn": (
        "torch.backends.cudnn.deterministic = True",
        "torch.backends.cudnn.benchmark = True",
        "torch.cuda.manual_seed(seed + <1..9>)",
    ),
    "epoch": (
        "def train_epoch({net}, {loader}, {crit}, {opt}, {dev}):\n"
        "    {net}.train()\n"
        "    total, {acc}, seen = 0.0, 0, 0\n"
        "    for {img}, {lab} in {loader}:\n"
        "        {img}, {lab} = {img}.to({dev}), {lab}.to({dev})\n"
        "        {opt}.zero_grad()\n"
        "        {out} = {net}({img})\n"
        "        {loss} = {crit}({out}, {lab})\n"
        "        {loss}.backward()\n"
        "        <clip>\n"
        "        {opt}.step()\n"
        "        <count>\n"
        "    return total / seen, {acc} / seen\n",
        "def run_one_epoch({net}, {loader}, {opt}, {dev}, scaler=None):\n"
        "    {net}.train()\n"
        "    losses = []\n"
        "    start = time.time()\n"
        "    for step, ({img}, {lab}) in enumerate({loader}):\n"
        "        {img} = {img}.to({dev}, non_blocking=True)\n"
        "        {lab} = {lab}.to({dev}, non_blocking=True)\n"
        "        with torch.autocast('cuda', enabled=scaler is not None):\n"
        "            {out} = {net}({img})\n"
        "            {loss} = nn.functional.cross_entropy(\n"
        "                {out}, {lab}, label_smoothing=0.<05..15>)\n"
        "        {opt}.zero_grad(set_to_none=True)\n"
        "        if scaler is None:\n"
        "            {loss}.backward()\n"
        "            {opt}.step()\n"
        "        else:\n"
        "            scaler.scale({loss}).backward()\n"
        "            scaler.step({opt})\n"
        "            scaler.update()\n"
        "        losses.append({loss}.item())\n"
        "        if step % <20..200> == 0:\n"
        "            print(step, np.mean(losses[-<10..50>:]), time.time() - start)\n"
        "    return float(np.mean(losses))\n",
    ),
    "clip": (
        "nn.utils.clip_grad_norm_({net}.parameters(), <1..9>)",
        "total += {loss}.item() * {lab}.size(0)",
        "total += {loss}.detach().cpu().numpy() * len({lab})",
    ),
    "count": (
        "seen += {lab}.size(0)\n{acc} += ({out}.argmax(1) == {lab}).sum().item()",
        "{acc} += torch.eq(torch.max({out}, 1)[1], {lab}).float().sum().item()\nseen += len({lab})",
        "_, guess = {out}.max(dim=1)\n{acc} += guess.eq({lab}).sum().item()\n"
        "seen += {img}.shape[0]",
    ),
    "validate": (
        "@torch.no_grad()\n"
        "def evaluate({net}, {loader}, {dev}):\n"
        "    {net}.eval()\n"
        "    good = n = 0\n"
        "    for {img}, {lab} in {loader}:\n"
        "        {out} = {net}({img}.to({dev})).cpu()\n"
        "        good += int(({out}.argmax(-1) == {lab}).sum())\n"
        "        n += {lab}.numel()\n"
        "    return good / max(n, 1)\n",
        "def validate({net}, {loader}, {crit}, {dev}):\n"
        "    {net}.eval()\n"
        "    history = {{'loss': [], 'hit': []}}\n"
        "    with torch.no_grad():\n"
        "        for {img}, {lab} in {loader}:\n"
        "            {img}, {lab} = {img}.to({dev}), {lab}.to({dev})\n"
        "            {out} = {net}({img})\n"
        "            history['loss'].append({crit}({out}, {lab}).item())\n"
        "            history['hit'] += ({out}.argmax(1) == {lab}).cpu().tolist()\n"
        "    return np.mean(history['loss']), np.mean(history['hit'])\n",
        "def top_k({net}, {loader}, {dev}, k=<2..5>):\n"
        "    hits, count = np.zeros(k), 0\n"
        "    with torch.inference_mode():\n"
        "        for {img}, {lab} in {loader}:\n"
        "            best = {net}({img}.to({dev})).topk(k, dim=1).indices.cpu()\n"
        "            match = best == {lab}[:, None]\n"
        "            hits += match.float().cumsum(1).sum(0).numpy()\n"
        "            count += len({lab})\n"
        "    return hits / count\n",
    ),
    "optimiser": (
        "torch.optim.SGD({net}.parameters(), lr=0.<01..2>, momentum=0.9, weight_decay=<1..9>e-4)",
        "torch.optim.Adam({net}.parameters(), lr=<1..9>e-<3..4>)",
        "torch.optim.AdamW({net}.parameters(), <1..9>e-<3..4>, weight_decay=0.0<1..9>)",
        "torch.optim.RMSprop({net}.parameters(), lr=<1..9>e-4, alpha=0.<90..99>)",
    ),
    "schedule": (
        "torch.optim.lr_scheduler.CosineAnnealingLR({opt}, T_max={epochs})",
        "torch.optim.lr_scheduler.StepLR({opt}, <8..30>, gamma=0.<1..5>)",
        "torch.optim.lr_scheduler.MultiStepLR({opt}, [<10..19>, <20..39>, <40..60>])",
        "torch.optim.lr_scheduler.OneCycleLR({opt}, 0.<1..3>, total_steps={epochs} * <50..200>)",
    ),
    "train_main": (
        "def main():\n"
        "    parser = argparse.ArgumentParser()\n"
        "    parser.add_argument('train_dir')\n"
        "    parser.add_argument('ckpt_dir')\n"
        "    parser.add_argument('--epochs', type=int, default=<20..90>)\n"
        "    parser.add_argument('--bs', type=int, default=<32..128>)\n"
        "    {args} = parser.parse_args()\n"
        "    {dev} = torch.device('cuda' if torch.cuda.is_available() else 'cpu')\n"
        "    ds = {Data}({args}.train_dir)\n"
        "    {loader} = torch.utils.data.DataLoader(ds, {args}.bs, shuffle=True)\n"
        "    {net} = {Net}(2, 100).to({dev})\n"
        "    {epochs} = {args}.epochs\n"
        "    {opt} = <optimiser>\n"
        "    {sched} = <schedule>\n"
        "    {crit} = nn.CrossEntropyLoss()\n"
        "    best = 0\n"
        "    for e in range({epochs}):\n"
        "        result = train_epoch({net}, {loader}, {crit}, {opt}, {dev})\n"
        "        {sched}.step()\n"
        "        <keep_best>\n"
        "    <save>\n\n\n"
        "if __name__ == '__main__':\n"
        "    main()\n",
        "if __name__ == '__main__':\n"
        "    src, dst = sys.argv[1], sys.argv[2]\n"
        "    {dev} = 'cuda:0' if torch.cuda.is_available() else 'cpu'\n"
        "    {net} = {Net}(2, 100)\n"
        "    {net}.to({dev})\n"
        "    {epochs} = <20..80>\n"
        "    {opt} = <optimiser>\n"
        "    {sched} = <schedule>\n"
        "    ds = {Data}(src)\n"
        "    {loader} = torch.utils.data.DataLoader(ds, batch_size=<16..128>, shuffle=True, "
        "num_workers=<2..8>, drop_last=<bool>)\n"
        "    deadline = time.time() + <40..58> * 60\n"
        "    best = 0.0\n"
        "    for e in range({epochs}):\n"
        "        result = run_one_epoch({net}, {loader}, {opt}, {dev})\n"
        "        {sched}.step()\n"
        "        if time.time() > deadline:\n"
        "            break\n"
        "    args = argparse.Namespace(ckpt_dir=dst)\n"
        "    {args} = args\n"
        "    <save>\n",
    ),
    "keep_best": (
        "if result[1] > best:\n    best = result[1]\n"
        "    torch.save({net}.state_dict(), os.path.join({args}.ckpt_dir, 'best.pth'))",
        "print(f'epoch {{e}}: {{result}} lr {{{sched}.get_last_lr()}}')",
        "best = max(best, result[-1])\nif e - <3..9> > {epochs}:\n    break",
    ),
    "save": (
        "os.makedirs({args}.ckpt_dir, exist_ok=True)\n"
        "torch.save({net}.state_dict(), os.path.join({args}.ckpt_dir, 'resnet_model.pth'))",
        "if not os.path.isdir({args}.ckpt_dir):\n    os.mkdir({args}.ckpt_dir)\n"
        "state = {{k: v.cpu() for k, v in {net}.state_dict().items()}}\n"
        "torch.save(state, {args}.ckpt_dir + '/resnet_model.pth')",
    ),
    # ------------------------------------------------------------------ evaluation
    "saliency": (
        "def saliency_map({net}, {img}):\n"
        "    {img} = {img}.clone().requires_grad_(True)\n"
        "    {out} = {net}({img})\n"
        "    c = {out}.argmax(1)\n"
        "    {out}[0, c].backward()\n"
        "    {grad} = {img}.grad.abs().amax(1)[0]\n"
        "    return c.item(), <normalise>\n",
        "def smooth_grad({net}, {img}, n=<8..40>, sigma=0.<05..25>):\n"
        "    total = torch.zeros_like({img})\n"
        "    with torch.no_grad():\n"
        "        c = int({net}({img}).argmax())\n"
        "    for _ in range(n):\n"
        "        noisy = ({img} + sigma * torch.randn_like({img})).requires_grad_()\n"
        "        score = {net}(noisy)[0, c]\n"
        "        total += torch.autograd.grad(score, noisy)[0] ** 2\n"
        "    {grad} = total.sum(1).squeeze(0).sqrt()\n"
        "    return c, <normalise>\n",
        "def integrated({net}, {img}, steps=<10..50>):\n"
        "    base = torch.full_like({img}, <0..1>)\n"
        "    acc = 0\n"
        "    c = {net}({img}).argmax(1).item()\n"
        "    for a in np.linspace(1 / steps, 1, steps):\n"
        "        point = (base + float(a) * ({img} - base)).detach().requires_grad_(True)\n"
        "        F.softmax({net}(point), 1)[0, c].backward()\n"
        "        acc = acc + point.grad\n"
        "    {grad} = (({img} - base) * acc / steps).abs().mean(1)[0]\n"
        "    return c, <normalise>\n",
    ),
    "normalise": (
        "({grad} - {grad}.min()) / ({grad}.max() - {grad}.min() + 1e-<6..9>)",
        "({grad} / {grad}.max()).detach().cpu().numpy()",
        "torch.clamp({grad} / torch.quantile({grad}, 0.<95..99>), 0, 1)",
    ),
    "to_mask": (
        "def make_mask({grad}, image):\n"
        "    {mask} = np.full({grad}.shape, cv2.GC_PR_BGD, np.uint8)\n"
        "    {mask}[{grad} > np.percentile({grad}, <55..75>)] = cv2.GC_PR_FGD\n"
        "    {mask}[{grad} > np.percentile({grad}, <90..97>)] = cv2.GC_FGD\n"
        "    b, f = np.zeros((1, 65)), np.zeros((1, 65))\n"
        "    cv2.grabCut(image, {mask}, None, b, f, <2..8>, cv2.GC_INIT_WITH_MASK)\n"
        "    return np.isin({mask}, (1, 3)).astype(np.uint8) * 255\n",
        "def make_mask({grad}, k=<3..15>):\n"
        "    blurred = cv2.GaussianBlur(np.float32({grad}), (0, 0), <3..12>)\n"
        "    level = (255 * blurred / blurred.max()).astype(np.uint8)\n"
        "    _, {mask} = cv2.threshold(level, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)\n"
        "    kernel = cv2.getStructuringElement(<morph>, (k, k))\n"
        "    {mask} = cv2.morphologyEx({mask}, cv2.MORPH_CLOSE, kernel)\n"
        "    return {mask}\n",
        "def make_mask({grad}, quantile=0.<6..9>):\n"
        "    {mask} = {grad} >= np.quantile({grad}, quantile)\n"
        "    count, comp, stats, _ = cv2.connectedComponentsWithStats({mask}.astype(np.uint8))\n"
        "    if count > 1:\n"
        "        largest = 1 + stats[1:, cv2.CC_STAT_AREA].argmax()\n"
        "        {mask} = comp == largest\n"
        "    hull = np.argwhere({mask})\n"
        "    return np.where({mask}, 255, 0).astype('uint8'), hull.mean(0)\n",
    ),
    "morph": ("cv2.MORPH_ELLIPSE", "cv2.MORPH_RECT", "cv2.MORPH_CROSS"),
    "write_csv": (
        "def write_rows(rows, path='submission.csv'):\n"
        "    with open(path, 'w', newline='') as f:\n"
        "        w = csv.writer(f)\n"
        "        w.writerow(['image_name', 'label'])\n"
        "        w.writerows(rows)\n",
        "def save_predictions(d):\n"
        "    lines = ['image_name,label'] + [f'{{k}},{{v}}' for k, v in sorted(d.items())]\n"
        "    open('submission.csv', 'w').write('\\n'.join(lines))\n",
        "def dump(names, labels):\n"
        "    f = open('submission.csv', 'w')\n"
        "    f.write('image_name,label\\n')\n"
        "    for a, b in zip(names, labels):\n"
        "        f.write(a + ',' + b + '\\n')\n"
        "    f.close()\n",
    ),
    "evaluate_main": (
        "if __name__ == '__main__':\n"
        "    {dev} = torch.device('cuda' if torch.cuda.is_available() else 'cpu')\n"
        "    {net} = {Net}(2, 100).to({dev})\n"
        "    {net}.load_state_dict(torch.load(sys.argv[1], map_location={dev}))\n"
        "    {net}.eval()\n"
        "    os.makedirs('seg_maps', exist_ok=True)\n"
        "    rows = []\n"
        "    for f in sorted(os.listdir(sys.argv[2])):\n"
        "        image = Image.open(os.path.join(sys.argv[2], f)).convert('RGB')\n"
        "        <one_image>\n"
        "        rows.append((f, c))\n",
        "def main(ckpt, {root}):\n"
        "    {net} = {Net}(2, 100)\n"
        "    {net}.load_state_dict(torch.load(ckpt, 'cpu'))\n"
        "    {net} = {net}.eval()\n"
        "    if not os.path.exists('seg_maps'):\n"
        "        os.makedirs('seg_maps')\n"
        "    for f in os.listdir({root}):\n"
        "        image = Image.open({root} + '/' + f).convert('RGB')\n"
        "        <one_image>\n\n\n"
        "main(*sys.argv[1:3])\n",
    ),
    "one_image": (
        "t = torch.from_numpy(np.array(image.resize((224, 224)))).permute(2, 0, 1)[None] / 255\n"
        "c, {grad} = saliency_map({net}, t.float())\n"
        "cv2.imwrite(f'seg_maps/{{f}}', make_mask(np.asarray({grad})))",
        "small = image.resize((<160..256>, <160..256>), Image.BILINEAR)\n"
        "x = np.transpose(np.asarray(small, 'float32'), (2, 0, 1)) / 127.5 - 1\n"
        "c, {grad} = smooth_grad({net}, torch.tensor(x).unsqueeze(0))\n"
        "{mask} = cv2.resize(make_mask({grad}.numpy()), image.size)\n"
        "Image.fromarray({mask}).save(os.path.join('seg_maps', f))",
    ),
    # ------------------------------------------------------------------ anything else
    "helper_file": (
        "import json\nimport math\nimport os\nimport numpy as np\nimport torch\n"
        "import torch.nn.functional as F\nimport matplotlib.pyplot as plt\n",
    ),
    "helper": (
        "def <verb>_<noun>({img}, <arg>=<number>):\n"
        "    <start>\n"
        "    <step>\n"
        "    <step>\n"
        "    <loop>\n"
        "    <step>\n"
        "    return <result>\n",
        "def <noun>_<noun>({img}, {lab}, <arg>=<number>, <arg>2=None):\n"
        "    <start>\n"
        "    if <arg2_test>:\n"
        "        <step>\n"
        "        return <result>\n"
        "    <loop>\n"
        "    <loop>\n"
        "    return <result>\n",
        "class <Noun><Noun>:\n"
        "    def __init__(self, <arg>=<number>, decay=0.<90..99>):\n"
        "        self.value = <number>\n"
        "        self.decay = decay\n"
        "        self.log = []\n\n"
        "    def update(self, {img}):\n"
        "        <start>\n"
        "        <step>\n"
        "        self.value = self.decay * self.value + (1 - self.decay) * <result>\n"
        "        self.log.append(self.value)\n\n"
        "    def summary(self):\n"
        "        a = np.array(self.log)\n"
        "        <plot>\n"
        "        return <reduce>\n",
        "def plot_<noun>(history, path='<noun>.png'):\n"
        "    fig, ax = plt.subplots(<1..2>, <1..3>, figsize=(<4..12>, <3..9>))\n"
        "    a = np.asarray(history['<noun>'])\n"
        "    <plot>\n"
        "    <plot>\n"
        "    <plot>\n"
        "    plt.savefig(path, dpi=<90..300>)\n"
        "    plt.close(fig)\n",
    ),
    "verb": (
        "compute",
        "measure",
        "collect",
        "smooth",
        "estimate",
        "scale",
        "check",
        "mix",
        "blend",
    ),
    "noun": (
        "loss",
        "margin",
        "entropy",
        "overlap",
        "confusion",
        "calibration",
        "gradient",
        "activation",
        "energy",
        "contrast",
        "histogram",
        "profile",
        "spectrum",
        "border",
        "centroid",
        "balance",
    ),
    "Noun": ("Meter", "Tracker", "Average", "Monitor", "Window", "Counter", "Smoother", "Record"),
    "arg": ("k", "tau", "alpha", "bins", "power", "eps", "size", "rate"),
    "number": ("<1..64>", "0.<1..99>", "<2..9>e-<2..6>", "2 ** <2..8>"),
    "arg2_test": (
        "a.ndim < <2..4>",
        "not np.isfinite(a).all()",
        "len(a) <= <1..9>",
        "a.max() > <number>",
        "{lab} is None",
    ),
    "start": (
        "a = np.asarray({img}, dtype=np.float64)",
        "a = {img}.detach().float().cpu().numpy()",
        "a = np.stack([np.ravel(v) for v in {img}])",
        "a = torch.as_tensor({img}).flatten(<0..1>).numpy()",
        "a = np.array({img}).reshape(-1, <2..64>)",
    ),
    "step": (
        "a = a - a.<stat>(axis=<-1..1>, keepdims=True)",
        "a = np.<unary>(a + <number>)",
        "a = np.clip(a, <number>, <65..99>)",
        "b = a[<0..3>:-<1..5>:<1..3>] * <number>\na = np.concatenate([a, b])",
        "w = np.<window>(<5..51>)\na = np.apply_along_axis(np.convolve, 0, a, w / w.sum(), 'same')",
        "a = a / (np.linalg.norm(a, ord=<1..2>, axis=-1, keepdims=True) + <2..9>e-<5..9>)",
        "a = np.where(a > <number>, a ** <2..3>, <number> * a)",
        "q = np.quantile(a, [0.<01..20>, 0.<70..99>])\na = (a - q[0]) / (q[1] - q[0])",
        "order = np.argsort(a.<stat>(-1))[::<-1..-1>]\na = a[order[:<10..500>]]",
        "f = np.abs(np.fft.rfft(a, n=<32..512>))\na = f[..., :<8..32>]",
        "a = np.roll(a, <1..9>, axis=0) + <number> * a",
        "a = np.log1p(np.abs(a)) * np.sign(a)",
        "u, s, v = np.linalg.svd(np.atleast_2d(a), full_matrices=False)\n"
        "a = u[:, :<2..8>] * s[:<2..8>]",
        "a = np.exp(a - a.max()) / np.exp(a - a.max()).sum(<-1..0>)",
    ),
    "loop": (
        "for i in range(<1..9>, len(a), <1..4>):\n    <inner>",
        "rows = []\nfor i, row in enumerate(a):\n"
        "    if row.<stat>() < <number>:\n        continue\n"
        "    rows.append(np.<unary>(row) * <number>)\na = np.array(rows)",
        "i = 0\nwhile i < min(len(a), <10..900>):\n    <inner>\n    i += <1..5>",
        "counts = {{}}\nfor i, v in enumerate(a.ravel()):\n    key = int(v * <number>) % <5..90>\n"
        "    counts[key] = counts.get(key, 0) + <1..3>\na = np.array(sorted(counts.values()))",
        "for scale in (<1..3>, <4..6>, <7..12>):\n    a = a[::scale] if len(a) > <20..90> * scale "
        "else np.repeat(a, <2..3>)\n    a = np.<unary>(a)",
    ),
    "inner": (
        "a[i] = <number> * a[i] + a[i - 1] / <number>",
        "a[i] = max(a[i].<stat>(), <number>) if np.ndim(a[i]) else a[i] - <number>",
        "a[i] -= a[: i + 1].<stat>() * <number>",
        "if np.any(a[i] > <number>):\n    a[i] = a[i] % <2..9>",
        "a[i], a[i - 1] = a[i - 1] + <number>, a[i] - <number>",
    ),
    "plot": (
        "plt.plot(np.cumsum(a) / np.arange(1, a.size + 1), '<line>', lw=<1..3>)",
        "plt.hist(a.ravel(), bins=<10..90>, alpha=0.<3..9>, density=<bool>)",
        "plt.axhline(<reduce>, ls='--', color='<colour>')",
        "plt.xlabel('<noun>')\nplt.ylim(<0..1>, <2..90>)",
        "plt.imshow(a.reshape(len(a), -1), cmap='<cmap>', aspect='auto')\nplt.colorbar()",
        "plt.scatter(a[:-1], a[1:], s=<2..30>, c=a[1:] > <number>)",
        "plt.fill_between(range(len(a)), a - a.std(), a + a.std(), alpha=0.<1..5>)",
    ),
    "line": ("-", "o-", "r--", "k:"),
    "colour": ("k", "red", "gray", "tab:blue"),
    "cmap": ("viridis", "gray", "jet", "magma"),
    "result": (
        "float(<reduce>)",
        "<reduce>",
        "round(float(<reduce>), <2..6>)",
        "<reduce> / max(len(a), <1..9>)",
    ),
    "reduce": (
        "a.<stat>()",
        "np.<nanstat>(a)",
        "math.sqrt(abs(a.<stat>()) + <number>)",
        "(a ** <2..4>).<stat>() ** 0.5",
        "np.abs(np.diff(a.ravel())).<stat>()",
        "(a > <number>).mean()",
    ),
    "stat": ("mean", "sum", "max", "min", "std", "var", "prod"),
    "nanstat": ("nanmean", "nanmax", "nanstd", "median", "ptp", "nansum"),
    "unary": ("tanh", "sqrt", "abs", "square", "sin", "arctan", "floor", "cbrt", "log1p", "exp2"),
    "window": ("hanning", "hamming", "blackman", "bartlett"),
}
