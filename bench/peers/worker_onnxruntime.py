"""Runs and times the block in ONNX Runtime, from a model made here."""
import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from common import EPS, measure_forms, serve
from shapes import GROUPS

OPSET, IR_VERSION = 17, 8


class Graph:
    """An ONNX graph from x to y that grows by one node per call."""

    def __init__(self, block):
        self.block = block
        self.nodes, self.constants = [], []

    def constant(self, values, kind=np.float32):
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values, kind), name))
        return name

    def node(self, kind, *inputs, outputs=1, **attributes):
        names = [f"value{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def reshape(self, value, *shape):
        return self.node("Reshape", value, self.constant(shape, np.int64))

    def swap(self, value):
        return self.node("Transpose", value, perm=[0, 2, 1])

    def norm(self):
        """GroupNorm of x, [B, C, N]: as PyTorch exports it, by the InstanceNormalization that has a kernel."""
        grouped = self.reshape("x", self.block.x.shape[0], GROUPS, -1)
        normal = self.node("InstanceNormalization", grouped, self.constant(np.ones(GROUPS)),
                           self.constant(np.zeros(GROUPS)), epsilon=EPS)
        channels = self.reshape(normal, self.block.x.shape[0], self.block.channels, self.block.tokens)
        scaled = self.node("Mul", channels, self.constant(self.block.gamma[:, None]))
        return self.node("Add", scaled, self.constant(self.block.beta[:, None]))

    def linear(self, tokens, weight, bias):
        return self.node("Add", self.node("MatMul", tokens, self.constant(weight.T)), self.constant(bias))

    def softmax(self, scores):
        return self.node("Softmax", self.node("Mul", scores, self.constant(self.block.scale)), axis=-1)

    def model(self, added):
        """The model of y = x + added."""
        self.nodes.append(helper.make_node("Add", ["x", self.reshape(added, *self.block.x.shape)], ["y"]))
        shape = list(self.block.x.shape)
        graph = helper.make_graph(self.nodes, "attention",
                                  [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
                                  [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)], self.constants)
        domains = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=domains, ir_version=IR_VERSION).SerializeToString()


def conv_softmax(block):
    graph = Graph(block)
    normal = graph.norm()
    qkv = graph.node("Conv", normal, graph.constant(block.qkv_weight[:, :, None]), graph.constant(block.qkv_bias))
    q, k, v = graph.node("Split", qkv, outputs=3, axis=1)
    weights = graph.softmax(graph.node("MatMul", graph.swap(q), k))
    mixed = graph.node("MatMul", v, graph.swap(weights))
    return graph.model(graph.node("Conv", mixed, graph.constant(block.out_weight[:, :, None]),
                                  graph.constant(block.out_bias)))


def of_tokens(block, mix):
    """The block by matrix products, with mix(graph, q, k, v) between them."""
    graph = Graph(block)
    qkv = graph.linear(graph.swap(graph.norm()), block.qkv_weight, block.qkv_bias)
    mixed = mix(graph, *graph.node("Split", qkv, outputs=3, axis=2))
    return graph.model(graph.swap(graph.linear(mixed, block.out_weight, block.out_bias)))


def matmul_softmax(block):
    return of_tokens(block, lambda graph, q, k, v: graph.node(
        "MatMul", graph.softmax(graph.node("MatMul", q, graph.swap(k))), v))


def matmul_fused(block):
    return of_tokens(block, lambda graph, q, k, v: graph.node(
        "MultiHeadAttention", q, k, v, domain="com.microsoft", num_heads=1))


def form(model):
    def make(block):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = block.threads
        options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(model(block), options, providers=["CPUExecutionProvider"])
        x = np.ascontiguousarray(block.x)
        y = np.empty_like(x)
        binding = session.io_binding()
        for bind, name, array in ((binding.bind_input, "x", x), (binding.bind_output, "y", y)):
            bind(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)

        # The binding holds addresses only: run keeps the arrays alive.
        def run(_arrays=(x, y)):
            session.run_with_iobinding(binding)

        return run, lambda: y

    return make


def measure(job, _):
    forms = {"conv, softmax": conv_softmax, "matmul, softmax": matmul_softmax,
             "matmul, MultiHeadAttention": matmul_fused}
    return measure_forms(job, onnxruntime.__version__, {name: form(model) for name, model in forms.items()})


if __name__ == "__main__":
    serve(measure)
