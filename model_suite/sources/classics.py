"""The models of `model_suite.classics`: written by hand from the papers, each imported when it is built."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from functools import partial

from torch import nn

from model_suite.case import ModelCase
from model_suite.sources import classics_inputs as inputs

_SOURCE = "classics"

#: By module of `model_suite.classics`: name in the catalogue, class, task, what it is run with, and tags, if any.
#: Inputs are random floats ``f32[2,3]``, random integers ``i64[2,3]<20``, or a function of `classics_inputs`.
_MODELS = {
    "vision": """
        lenet | LeNet5 | classification | f32[2,1,32,32]
        net3_local | NetThree | classification | f32[2,1,16,16]
        network_in_network | NetworkInNetwork | classification | f32[2,3,16,16] | in-place
        maxout | MaxoutNet | classification | f32[2,3,16,16]
        highway | HighwayNet | classification | f32[2,16]
        inception_v1 | InceptionV1 | classification | f32[2,3,16,16] | multi-output
        fractalnet | FractalNet | classification | f32[2,3,16,16] | recursive
        stochastic_depth | StochasticDepthNet | classification | f32[2,3,16,16]
        branchynet | BranchyNet | classification | f32[1,1,16,16] | dynamic multi-output
        spatial_transformer | SpatialTransformerNet | classification | f32[2,1,16,16]
    """,
    "convolution": """
        senet | SENet | classification | f32[2,3,16,16] | in-place
        cbam | CBAM | representation | f32[2,3,16,16] | attention
        selective_kernel | SelectiveKernelNet | representation | f32[2,3,16,16] | attention
        non_local | NonLocalNet | video | f32[1,3,2,8,8] | attention
        coordconv | CoordConvNet | generation | f32[2,2]
        octave_conv | OctaveNet | classification | f32[2,3,16,16]
        involution | InvolutionNet | representation | f32[2,3,16,16]
        dynamic_conv | DynamicConvNet | representation | f32[2,3,16,16] | attention
        deformable_conv | DeformableConvNet | representation | f32[2,3,8,12]
        rotation_equivariant | RotationEquivariantNet | classification | f32[2,1,16,16]
        capsnet | CapsuleNet | classification | f32[2,1,16,16] | recurrent multi-output
    """,
    "dense_prediction": """
        fcn8s | FCN8s | segmentation | f32[1,3,32,32] | in-place
        segnet | SegNet | segmentation | f32[2,3,16,16] | in-place
        unet | UNet | segmentation | f32[1,1,60,60]
        attention_unet | AttentionUNet | segmentation | f32[2,1,16,16] | attention in-place multi-output
        vnet | VNet | segmentation | f32[1,1,8,8,8]
        pspnet | PyramidSceneParser | segmentation | f32[2,3,16,16] | in-place
        hed | HolisticallyNestedEdges | segmentation | f32[2,3,16,16] | in-place multi-output
        stacked_hourglass | StackedHourglass | keypoints | f32[2,3,16,16] | in-place multi-output recursive
        yolo_v1 | YOLOv1 | detection | f32[2,3,32,32] | multi-output
        flownet_c | FlowNetC | optical flow | f32[1,3,16,16] f32[1,3,16,16] | in-place multi-input multi-output
    """,
    "recurrent": """
        elman | ElmanNet | sequence | f32[2,4,6] | recurrent
        jordan | JordanNet | sequence | plan_and_steps | recurrent
        lstm_lm | LSTMLanguageModel | language | i64[2,5]<20 | recurrent multi-output
        clockwork_rnn | ClockworkRNN | sequence | f32[2,5,3] | recurrent
        recurrent_highway | RecurrentHighwayNet | sequence | f32[2,5,3] | recurrent
        indrnn | IndRNN | sequence | f32[2,5,3] | recurrent
        qrnn | QRNN | sequence | f32[2,5,3] | recurrent
        sru | SRU | sequence | f32[2,5,8] | recurrent multi-output
        convlstm | ConvLSTMForecaster | video | f32[1,3,1,8,8] | recurrent
        prednet | PredNet | video | f32[1,3,1,8,8] | recurrent multi-output
        echo_state | EchoStateNet | sequence | f32[2,5,2] | recurrent
    """,
    "continuous_time": """
        neural_ode | NeuralODE | dynamics | state_and_times | recurrent multi-input
        latent_ode | LatentODE | dynamics | series_and_times | random recurrent multi-input multi-output
        liquid_time_constant | LiquidTimeConstantNet | dynamics | f32[2,4,3] f32[2,4] | recurrent multi-input
        legendre_memory | LegendreMemoryUnit | sequence | f32[2,5,2] | recurrent multi-output
        spiking | SpikingNet | sequence | f32[2,5,6] | recurrent multi-output
        hamiltonian | HamiltonianNet | dynamics | state_and_times | autograd-inside recurrent multi-input multi-output
        lagrangian | LagrangianNet | dynamics | f32[2,2] f32[2,2] | autograd-inside multi-input
    """,
    "attention": """
        linear_transformer | LinearTransformer | language | f32[2,6,8] | attention
        performer | Performer | language | f32[2,6,8] | attention
        linformer | Linformer | language | f32[2,12,8] | attention
        reformer | ReformerLayer | language | f32[2,12,8] f32[2,12,8] | attention random multi-input multi-output
        nystromformer | Nystromformer | language | f32[2,6,8] | attention
        transformer_xl | TransformerXL | language | i64[2,8]<20 | attention recurrent
        set_transformer | SetTransformer | sets | f32[2,5,3] | attention
        slot_attention | SlotAttention | generation | f32[2,3,8,8] | attention random recurrent multi-output
        perceiver_io | PerceiverIO | representation | f32[2,6,3] f32[2,4,2] | attention multi-input
    """,
    "mixing": """
        mlp_mixer | MLPMixer | classification | f32[2,3,16,16]
        gmlp | GatedMLP | language | i64[2,6]<20 | attention
        fnet | FNet | language | i64[2,6]<20
        synthesizer | Synthesizer | language | f32[2,6,8] | attention
        sparse_moe | SparseMoE | representation | f32[6,8] | dynamic in-place multi-output
        switch_transformer | SwitchTransformer | language | f32[2,6,8] | attention multi-output
        kan | KolmogorovArnoldNet | regression | f32[3,2]
        universal_transformer | UniversalTransformer | language | f32[2,6,8] | attention dynamic recurrent multi-output
        adaptive_computation_time | AdaptiveComputationTime | sequence | f32[2,5,3] | dynamic recurrent multi-output
    """,
    "sequence_to_sequence": """
        bahdanau | Bahdanau | translation | i64[2,6]<20 i64[2,4]<20 | attention recurrent multi-input multi-output
        luong | Luong | translation | i64[2,6]<20 i64[2,4]<20 | attention recurrent multi-input
        pointer_net | PointerNet | structured prediction | f32[2,5,2] | attention recurrent multi-output
        conv_seq2seq | ConvolutionalTranslator | translation | i64[2,6]<20 i64[2,4]<20 | attention multi-input
        deepspeech_ctc | DeepSpeech | speech | sound_and_letters | recurrent multi-input multi-output
        listen_attend_spell | ListenAttendSpell | speech | sound_and_letters | attention recurrent multi-input
        cbhg | CBHG | speech | i64[2,7]<12 | recurrent
        rnn_transducer | RNNTransducer | speech | f32[1,4,6] | dynamic recurrent multi-output
    """,
    "decoding": """
        greedy_gpt | GreedyGPT | language | i64[2,4]<12 | attention recurrent
        beam_search | BeamSearch | language | i64[1,4]<12 | attention recurrent multi-output
        speculative | SpeculativeDecoder | language | i64[1,4]<12 | attention dynamic random multi-output
        crf | ConditionalRandomField | structured prediction | i64[2,6]<20 | recurrent multi-output
        hmm | HiddenMarkovModel | structured prediction | i64[2,6]<5 | recurrent multi-output
        biaffine_parser | BiaffineParser | structured prediction | i64[2,6]<20 | multi-output
    """,
    "memory": """
        neural_turing_machine | NeuralTuringMachine | memory | f32[2,4,4] | attention recurrent
        dnc | DifferentiableNeuralComputer | memory | f32[2,4,4] | attention recurrent
        memory_network | EndToEndMemoryNet | memory | i64[2,4,3]<20 i64[2,3]<20 | attention recurrent multi-input
        dynamic_memory_network | DynamicMemory | memory | i64[2,4,3]<20 i64[2,3]<20 | attention recurrent multi-input
        product_key_memory | ProductKeyMemory | memory | f32[3,8] | attention
        modern_hopfield | ModernHopfield | memory | f32[2,6] | attention dynamic recurrent multi-output
        stack_rnn | StackRNN | memory | i64[2,5]<4 | recurrent multi-output
        neural_gpu | NeuralGPU | memory | i64[2,5]<4 | recurrent
        npi | NeuralProgrammerInterpreter | memory | f32[1,6] | dynamic recurrent recursive multi-output
        sparse_distributed_memory | SparseDistributedMemory | memory | bits | in-place multi-input stateful
    """,
    "state_space": """
        s4 | S4 | sequence | f32[2,7,4] | complex
        s4d | S4D | sequence | f32[2,6,4] | complex
        lru | LinearRecurrentUnit | sequence | f32[2,6,4] | complex
        mamba | Mamba | sequence | f32[2,6,4] | recurrent
        rwkv | RWKV | language | f32[2,6,8] | recurrent
        hyena | Hyena | language | f32[2,6,4] | complex
        retnet_parallel | RetNet | language | f32[2,6,8] | attention
        retnet_recurrent | RecurrentRetNet | language | f32[2,6,8] | recurrent
        delta_net | DeltaNet | language | f32[2,6,8] | recurrent
        mlstm | MatrixLSTM | language | f32[2,6,8] | recurrent
    """,
    "generative": """
        dcgan_generator | DCGANGenerator | generation | f32[2,8] | in-place
        dcgan_discriminator | DCGANDiscriminator | generation | f32[2,3,32,32] | in-place
        stylegan2 | StyleGAN2 | generation | f32[2,8] | random
        pix2pix | Pix2Pix | generation | f32[1,3,32,32] | random recursive
        cyclegan | CycleGAN | generation | f32[2,3,16,16] | multi-output
        vae | VariationalAutoencoder | generation | f32[2,64] | random multi-output
        beta_vae | BetaVAE | generation | f32[2,1,16,16] | random multi-output
        vq_vae | VQVAE | generation | f32[2,3,16,16] | multi-output
        made | MADE | generation | f32[2,8] | multi-output
        pixelcnn | PixelCNN | generation | f32[2,1,8,8] | in-place random multi-output
        wavenet | WaveNet | speech | i64[2,12]<8
    """,
    "flows_and_energies": """
        realnvp | RealNVP | density | f32[3,4] | multi-output
        glow_step | Glow | density | f32[2,1,8,8] | multi-output
        ffjord | ContinuousFlow | density | f32[3,3] | autograd-inside random recurrent multi-output
        langevin | LangevinSampler | density | f32[3,6] | autograd-inside random recurrent multi-output
        rbm | RestrictedBoltzmannMachine | density | bits_of_one | random recurrent multi-output
        boltzmann | BoltzmannMachine | density | f32[3,2] | in-place random recurrent multi-output
        ddpm | DDPM | generation | noise_and_step | attention multi-input
        ddim | DDIMSampler | generation | f32[1,1,8,8] | attention recurrent
        score_langevin | ScoreNet | density | f32[3,2] | random recurrent
        consistency | ConsistencyModel | density | f32[3,2] f32[3,1] | random multi-input multi-output
        flow_matching | FlowMatching | density | f32[3,2] | random recurrent multi-output
    """,
    "graphs": """
        gcn | GraphConvolution | graphs | graph | multi-input
        gat | GraphAttention | graphs | graph | attention multi-input
        mpnn | MessagePassingNet | graphs | molecule | recurrent multi-input
        gin | GraphIsomorphismNet | graphs | graph | multi-input
        graph_unet | GraphUNet | graphs | wide_graph | multi-input
        interaction_net | InteractionNet | graphs | relations | recurrent multi-input
        relation_net | RelationNet | visual reasoning | f32[2,3,12,12] f32[2,4] | multi-input
        tree_lstm_child_sum | ChildSumTreeLSTM | language | dependencies | dynamic recursive
        tree_lstm_binary | BinaryTreeLSTM | language | parsed | dynamic recursive
        rntn | RecursiveNeuralTensorNet | language | parsed | dynamic recursive
    """,
    "point_sets": """
        deep_sets | DeepSets | sets | f32[2,8,3]
        pointnet | PointNet | sets | f32[2,8,3]
        pointnet_plus_plus | PointNetPlusPlus | sets | f32[2,8,3]
        dgcnn | DynamicGraphCNN | sets | f32[2,8,3]
        egnn | EquivariantGraphNet | molecules | f32[4,6] f32[4,3] | multi-input multi-output
        tensor_field | TensorFieldNet | molecules | f32[4,4] f32[4,4,3] f32[4,3] | multi-input multi-output
        schnet | SchNet | molecules | atoms | autograd-inside multi-input multi-output
        evoformer | Evoformer | molecules | i64[3,5]<6 | attention recurrent
    """,
    "fields": """
        nerf | NeRF | fields | f32[2,3] f32[2,3] | random multi-input multi-output
        siren | SIREN | fields | f32[4,2] | autograd-inside multi-output
        fourier_neural_operator | FourierNeuralOperator | fields | f32[2,1,8,8] | complex in-place
        deeponet | DeepONet | fields | f32[2,10] f32[5,1] | multi-input
        pinn | PhysicsInformedNet | fields | f32[4,1] f32[4,1] | autograd-inside multi-input multi-output
        neural_process | NeuralProcess | fields | seen_and_asked | attention random multi-input multi-output
    """,
    "nested": """
        deep_equilibrium | DeepEquilibriumNet | representation | f32[2,6] | dynamic recurrent
        deep_equilibrium_fixed | WeightTiedNet | representation | f32[2,3,16,16] | recurrent multi-output
        hypernetwork | HyperNetwork | classification | f32[2,3,16,16]
        hyper_lstm | HyperLSTM | sequence | f32[2,5,3] | recurrent
        maml | MAML | few-shot | f32[4,1] f32[4,1] f32[3,1] | autograd-inside recurrent multi-input multi-output
        kalman | KalmanNet | dynamics | f32[2,4,5] | in-place recurrent multi-output
        neural_module_net | NeuralModuleNet | visual reasoning | image_and_layout | dynamic recursive
        film | FiLM | visual reasoning | image_and_question | multi-input
    """,
    "recommenders": """
        factorization_machine | FactorizationMachine | recommendation | i64[4,3]<3
        wide_and_deep | WideAndDeep | recommendation | values_and_dense | multi-input
        deepfm | DeepFM | recommendation | i64[4,3]<3
        deep_and_cross | DeepAndCross | recommendation | i64[4,3]<3
        xdeepfm | ExtremeDeepFM | recommendation | i64[4,3]<3
        dlrm | DLRM | recommendation | bags | multi-input
        neumf | NeuralCollaborativeFiltering | recommendation | i64[3]<6 i64[3]<6 | multi-input
        two_tower | TwoTower | recommendation | users_and_items | multi-input multi-output
        deep_interest | DeepInterestNet | recommendation | i64[2,5]<10 i64[2]<10 | attention multi-input
        tabnet | TabNet | tabular | f32[3,6] | attention multi-output
        oblivious_trees | ObliviousTrees | tabular | f32[3,6]
        sasrec | SelfAttentiveRecommender | recommendation | i64[2,6]<10 | attention
    """,
    "reinforcement": """
        dqn | DeepQNetwork | control | transition | multi-input multi-output
        dueling_noisy_dqn | DuelingNetwork | control | f32[3,6] | random
        implicit_quantile | ImplicitQuantileNet | control | f32[3,6] | random multi-output
        a3c_lstm | ActorCriticLSTM | control | f32[2,4,6] f32[2,4] | random recurrent multi-input multi-output
        soft_actor | SoftActor | control | f32[3,6] | random multi-output
        alphazero | AlphaZero | control | board | multi-input multi-output
        qmix | QMIX | control | f32[2,3,3,4] f32[2,3,5] | recurrent multi-input
    """,
    "world_models": """
        muzero | MuZero | control | observation_and_plan | recurrent multi-input multi-output
        value_iteration | ValueIterationNet | control | map_and_place | recurrent multi-input
        world_model | WorldModel | control | f32[2,3,16,16] | random recurrent multi-output
        dreamer_rssm | RecurrentStateSpaceModel | control | f32[2,3,5] f32[2,3,2] | random multi-input multi-output
        decision_transformer | DecisionTransformer | control | trajectory | attention multi-input
    """,
    "comparing": """
        siamese | SiameseNet | similarity | f32[2,1,16,16] f32[2,1,16,16] | multi-input
        triplet | TripletNet | similarity | labelled | multi-input multi-output
        prototypical | PrototypicalNet | few-shot | f32[2,3,1,16,16] f32[3,1,16,16] | multi-input
        matching_net | MatchingNet | few-shot | shots | attention recurrent multi-input
        relation_score | RelationScore | few-shot | f32[2,3,1,16,16] f32[3,1,16,16] | multi-input
        simclr | SimCLR | self-supervision | f32[2,1,16,16] | in-place random multi-output
        barlow_twins | BarlowTwins | self-supervision | f32[4,1,16,16] | random multi-output
        byol | BYOL | self-supervision | f32[2,1,16,16] | in-place random stateful
        moco | MoCo | self-supervision | f32[2,1,16,16] | random stateful multi-output
        cpc | ContrastivePredictiveCoding | self-supervision | f32[3,1,32] | recurrent multi-output
    """,
    "discrete": """
        gumbel_softmax_vae | GumbelSoftmaxVAE | generation | f32[2,16] | in-place random multi-output
        xnor_net | XNORNet | classification | f32[2,3,16,16]
        quantization_aware | QuantizationAwareNet | representation | f32[3,6] | in-place stateful
        lora | LoRATransformer | language | f32[2,6,8] | attention
        nested_dropout | NestedDropout | representation | f32[3,12] | random multi-output
        lateral_inhibition | LateralInhibition | dynamics | f32[2,7] | recurrent
        self_organizing_map | SelfOrganizingMap | representation | f32[4,3] | in-place recurrent stateful
        neural_sort | NeuralSort | sets | f32[2,8,3] | multi-output
        mixture_density | MixtureDensityNet | density | f32[3,2] f32[3] | random multi-input multi-output
    """,
}

#: Where it is not the model's own name.
_FAMILIES = {
    "dcgan_discriminator": "dcgan",
    "dcgan_generator": "dcgan",
    "ddim": "ddpm",
    "deep_equilibrium_fixed": "deep_equilibrium",
    "hyper_lstm": "hypernetwork",
    "retnet_parallel": "retnet",
    "retnet_recurrent": "retnet",
    "tree_lstm_binary": "tree_lstm",
    "tree_lstm_child_sum": "tree_lstm",
}


# -- building ----------------------------------------------------------------------------------------


def _build(module: str, cls: str) -> nn.Module:
    model = getattr(importlib.import_module(f"model_suite.classics.{module}"), cls)()
    assert isinstance(model, nn.Module)
    return model


def _row(module: str, line: str) -> ModelCase:
    name, cls, task, arguments, *tags = (cell.strip() for cell in line.split("|"))
    return ModelCase(
        name=f"{_SOURCE}/{name}",
        source=_SOURCE,
        family=_FAMILIES.get(name, name),
        task=task,
        builder=partial(_build, module, cls),
        maker=partial(inputs.make, arguments),
        tags=frozenset(tags[0].split() if tags else ()),
    )


def cases() -> Iterator[ModelCase]:
    """The cases of this source."""
    for module, table in _MODELS.items():
        for line in table.strip().splitlines():
            yield _row(module, line)
