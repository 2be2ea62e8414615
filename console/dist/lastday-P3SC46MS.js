import{a}from"./chunk-CPASCWUQ.js";import"./chunk-K2FEAA7Z.js";import"./chunk-YVQ3QDTO.js";import"./chunk-FKVCHHOB.js";import"./chunk-ONFQWQRN.js";export{a as LastDay};
