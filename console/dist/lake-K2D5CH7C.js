import{a,b}from"./chunk-AFMQY353.js";import"./chunk-X7AAKGJW.js";import"./chunk-FKVCHHOB.js";import"./chunk-ONFQWQRN.js";export{b as Place,a as default};
